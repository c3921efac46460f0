"""A child process whose life is tied to ours."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from actors.connections.mqtt.brokers import child
from actors.connections.mqtt.brokers.broker_process import BrokerProcess, end_leftover
from actors.connections.mqtt.brokers.process_table import started_ticks
from actors.core.clock import LoopClock
from tests.loop import Run

DEADLINE_S = 10.0


class Heard:
    """What a child said, and whether it has ended."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.over = asyncio.Event()
        self.said = asyncio.Event()

    def hear(self, line: str) -> None:
        self.lines.append(line)
        self.said.set()

    async def spawn(self, command: Sequence[str], directory: Path) -> BrokerProcess:
        return await BrokerProcess.spawn(
            ["program", *command],
            death_signal=signal.SIGKILL,
            directory=directory,
            hear=self.hear,
            on_end=self.over.set,
        )

    async def until_said(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.said.wait()

    async def until_over(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.over.wait()


def script(text: str) -> list[str]:
    return ["sh", "-c", text]


def test_each_line_of_its_output_is_heard(run: Run, tmp_path: Path) -> None:
    """Of both streams, the last one without a newline too, long ones cut; the last of them are kept."""

    async def scenario() -> None:
        heard = Heard()
        process = await heard.spawn(script("echo one; echo two >&2; head -c 100000 /dev/zero | tr '\\0' x"), tmp_path)
        await heard.until_over()
        assert heard.lines == ["one", "two", "x" * 1000]
        assert process.last_words.startswith("one\ntwo\nx")
        await process.end(1.0)

    run(scenario())


@pytest.mark.parametrize(
    ("text", "ending"), [("exit 3", "ended with 3"), ("kill -9 $$", "was ended by SIGKILL"), ("true", "ended with 0")]
)
def test_it_is_known_how_it_ended(run: Run, tmp_path: Path, text: str, ending: str) -> None:
    async def scenario() -> None:
        heard = Heard()
        process = await heard.spawn(script(text), tmp_path)
        await heard.until_over()
        assert process.ended
        assert process.ending == ending

    run(scenario())


def test_it_is_asked_to_end_before_it_is_killed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        heard = Heard()
        process = await heard.spawn(
            script("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"), tmp_path
        )
        await heard.until_said()
        await process.end(DEADLINE_S)
        assert heard.lines == ["up", "bye"]
        assert process.ending == "ended with 0"

    run(scenario())


def test_one_that_does_not_end_is_killed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        heard = Heard()
        process = await heard.spawn([sys.executable, "-c", DEAF], tmp_path)
        await heard.until_said()
        await process.end(0.1)
        assert process.ending == "was ended by SIGKILL"

    run(scenario())


DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def test_it_has_a_session_of_its_own(run: Run, tmp_path: Path) -> None:
    """Ctrl-C in the router's terminal is for the router, which drains with its broker still there."""

    async def scenario() -> None:
        heard = Heard()
        process = await heard.spawn(script("echo up; exec sleep 60"), tmp_path)
        await heard.until_said()
        assert os.getsid(process.pid) == process.pid
        await process.end(DEADLINE_S)

    run(scenario())


def test_one_that_an_earlier_router_left_is_ended(run: Run, tmp_path: Path) -> None:
    """It is known by its id and its start."""

    async def scenario() -> None:
        heard = Heard()
        process = await heard.spawn(script("echo up; exec sleep 60"), tmp_path)
        await heard.until_said()
        assert await end_leftover(tmp_path, LoopClock()) == process.pid
        await heard.until_over()
        assert process.ending == "was ended by SIGTERM"
        assert await end_leftover(tmp_path, LoopClock()) is None

    run(scenario())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x"}'])
def test_an_unreadable_note_of_an_earlier_child_is_passed_over(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "child.json").write_text(text)

    async def scenario() -> None:
        assert await end_leftover(tmp_path, LoopClock()) is None

    run(scenario())


def test_a_stranger_with_the_written_id_is_left_alone(run: Run, tmp_path: Path) -> None:
    """Ids come again; a start at that time does not."""

    async def scenario() -> None:
        heard = Heard()
        process = await heard.spawn(script("echo up; exec sleep 60"), tmp_path)
        await heard.until_said()
        note = {"pid": process.pid, "ticks": (started_ticks(process.pid) or 0) - 1}
        (tmp_path / "child.json").write_text(json.dumps(note))
        assert await end_leftover(tmp_path, LoopClock()) is None
        assert not process.ended
        await process.end(DEADLINE_S)

    run(scenario())


def test_a_child_whose_parent_died_before_they_were_tied_does_not_start(run: Run) -> None:
    """The kernel tells only of deaths that come later."""

    async def scenario() -> int:
        # Some process that is not its parent stands for the one that died.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", child.__file__, "1", "9", "program", "echo", "never"
        )
        async with asyncio.timeout(DEADLINE_S):
            return await process.wait()

    assert run(scenario()) == child.ORPHANED
