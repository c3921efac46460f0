"""Each broken file in `broken/` gives the report that lies beside it, word for word.

After a change of wording: `UPDATE_REPORTS=1 bin/test tests/router/topology/test_broken.py`, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from router.catalog import Catalog
from router.topology.check import check_file
from router.topology.problems import render

BROKEN = Path(__file__).parent / "broken"
ENVIRON = {
    "IN_PATH": "in-without-slash",
    "WAIT_S": "5",
    "POOL": "8",
    "PATH_PREFIX": "x",
    "OUT_URI": "https://private.example",
    "TARGET": "somewhere-private",
}


def report(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `router validate` prints for one of the files, from within its folder."""
    monkeypatch.chdir(BROKEN)
    _, problems = check_file(Path(name), catalog=Catalog.installed(), environ=ENVIRON)
    return "\n".join(render(problem) for problem in problems) + "\n"


@pytest.mark.parametrize("file", sorted(BROKEN.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_broken_file_gives_its_report(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(file.name, monkeypatch)
    expected = file.with_suffix(".txt")
    if "UPDATE_REPORTS" in os.environ:
        expected.write_text(found)
    assert found == expected.read_text()


def test_there_are_enough_of_them() -> None:
    assert len(list(BROKEN.glob("*.yaml"))) >= 20
    assert {file.stem for file in BROKEN.glob("*.txt")} == {file.stem for file in BROKEN.glob("*.yaml")}


def test_no_report_shows_what_is_secret() -> None:
    reports = "".join(file.read_text() for file in BROKEN.glob("*.txt"))
    for secret in ("abc-123-def", "pass-word", "12345678", "open-sesame", *ENVIRON.values()):
        assert len(secret) < 6 or secret not in reports
