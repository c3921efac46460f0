"""The examples of docs/writing-an-endpoint.md work as they stand there."""

import re
import socket
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.clock import ManualClock
from actors.core.errors import DeliveryError
from actors.core.message import Message
from actors.core.spec import ENDPOINT
from tests.loop import Run
from tests.stage import DELIVERED, stage

PAGE = Path(__file__).parent.parent / "docs" / "writing-an-endpoint.md"


@pytest.fixture(scope="module")
def examples() -> Iterator[dict[str, Any]]:
    """The classes of the page's Python examples by name, each example a module of its own."""
    found: dict[str, Any] = {}
    names: list[str] = []
    for number, source in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)):
        names.append(f"docs_example_{number}")
        module = types.ModuleType(names[-1])
        sys.modules[names[-1]] = module  # where pydantic looks up the types that annotations name
        exec(compile(source, f"{PAGE.name} example {number}", "exec"), vars(module))  # noqa: S102  # ours
        found |= vars(module)
    yield found
    for name in names:
        del sys.modules[name]


def test_the_target_writes_lines(run: Run, examples: dict[str, Any], tmp_path: Path) -> None:
    """And keeps what was there."""
    path = tmp_path / "orders.jsonl"
    path.write_text("first\n")

    async def main() -> None:
        async with stage() as played:
            lines = await played.start(examples["Lines"], {"path": str(path)})
            await lines.deliver(Message("1", "it", {"order": 7}))
            await lines.deliver(Message("2", "it", "a\nb"))
            await lines.stop()

    run(main())
    assert path.read_text() == 'first\n{"order": 7}\n"a\\nb"\n'


def test_the_target_that_cannot_write_says_so(run: Run, examples: dict[str, Any]) -> None:
    """As a failed attempt."""

    async def main() -> None:
        async with stage() as played:
            lines = await played.start(examples["Lines"], {"path": "/dev/full"})
            with pytest.raises(DeliveryError, match="No space left"):
                await lines.deliver(Message("1", "it", {"order": 7}))

    run(main())


def test_the_source_takes_files_and_deletes_them_when_they_are_safe(
    run: Run, examples: dict[str, Any], tmp_path: Path
) -> None:
    """Not before."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            inbox = await played.start(examples["Inbox"], {"folder": str(tmp_path)}, name="files")
            (tmp_path / "a.txt").write_text("hello")
            await clock.advance(3)
            (message,) = played.outlet.messages
            assert (message.id, message.source, message.data) == ("a.txt", "files", "hello")
            assert (tmp_path / "a.txt").exists()
            played.outlet.receipt.settle(DELIVERED)
            assert not (tmp_path / "a.txt").exists()
            await inbox.drain()
            (tmp_path / "b.txt").write_text("late")
            await clock.advance(3)
            assert len(played.outlet.messages) == 1

    run(main())


def test_the_source_that_is_handed_over_keeps_its_socket(run: Run, examples: dict[str, Any]) -> None:
    """No datagram is missed over the switch; without a predecessor it opens a socket of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": port}
    spec = getattr(examples["Datagrams"], ENDPOINT)
    before, after = (spec.options.model_validate({"port": number}) for number in (port, port + 1))
    assert (spec.succession(before, before), spec.succession(before, after)) == ("handed_over", "break")

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            async with stage() as played:
                first = await played.start(examples["Datagrams"], options)
                sender.sendto(b"1", ("127.0.0.1", port))
                second = await played.succeed(examples["Datagrams"], {**options, "encoding": "ascii"}, first)
                await first.retire()
                sender.sendto(b"2\xff", ("127.0.0.1", port))
                await played.until(lambda: len(played.outlet.messages) == 2)
                assert [message.data for message in played.outlet.messages] == ["1", "2\ufffd"]
                await second.stop()
                third = await played.start(examples["Datagrams"], options, succeeds=True)
                third.actor.take_over(None)  # type: ignore[attr-defined]  # it is an example of that
                await played.until(lambda: third.actor._receiver)  # type: ignore[attr-defined]
                sender.sendto(b"3", ("127.0.0.1", port))
                await played.until(lambda: len(played.outlet.messages) == 3)

    run(main())
