"""Ids that outlive the process that made them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from actors.core.errors import RouterError
from actors.kit.kept_id import kept_id


def made() -> Iterator[str]:
    # Not a generator: several threads ask it at once.
    return map("id-{}".format, count(1))


def test_it_is_made_once(tmp_path: Path) -> None:
    """With its folder, and for nobody else to read; nothing is left beside it."""
    ids = made()
    path = tmp_path / "below" / "it"
    assert [kept_id(path, ids.__next__) for _ in range(3)] == ["id-1"] * 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["it"]


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    """As a full disk may have left it."""
    ids = made()
    path = tmp_path / "it"
    path.write_text("\n")
    assert [kept_id(path, ids.__next__) for _ in range(2)] == ["id-1"] * 2


def test_who_makes_one_at_the_same_time_has_the_same(tmp_path: Path) -> None:
    ids = made()
    with ThreadPoolExecutor(8) as pool:
        found = {*pool.map(lambda _: kept_id(tmp_path / "it", ids.__next__), range(64))}
    assert found == {(tmp_path / "it").read_text().strip()}


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(RouterError, match="cannot read"):
        kept_id(tmp_path, lambda: "x")
