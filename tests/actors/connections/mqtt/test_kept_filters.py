"""The filters of a session are known again after a restart."""

import stat
from pathlib import Path

import pytest

from actors.connections.mqtt.kept_filters import KeptFilters
from actors.core.errors import RouterError
from tests.loop import Run


def test_what_is_kept_is_known_again(run: Run, tmp_path: Path) -> None:
    """In a file that is for the router alone."""
    path = tmp_path / "mqtt" / "broker.in.filters"

    async def main() -> None:
        kept = KeptFilters(path, "client")
        assert await kept.known() == frozenset()
        await kept.keep(["a/#", "b"])
        assert await kept.known() == await KeptFilters(path, "client").known() == {"a/#", "b"}
        await kept.keep(["b"])
        assert await KeptFilters(path, "client").known() == {"b"}

    run(main())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_another_client_id_is_another_session(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        await KeptFilters(tmp_path / "filters", "one").keep(["a"])
        assert await KeptFilters(tmp_path / "filters", "other").known() == frozenset()

    run(main())


@pytest.mark.parametrize("content", ["", "[]", "{}", "\udcff"])
def test_a_file_that_says_something_else_is_reported(run: Run, tmp_path: Path, content: str) -> None:
    """And not taken for an empty one: the session would keep what nobody wants."""
    path = tmp_path / "filters"
    path.write_bytes(content.encode(errors="surrogateescape"))

    async def main() -> None:
        with pytest.raises(RouterError, match="cannot read"):
            await KeptFilters(path, "client").known()

    run(main())
