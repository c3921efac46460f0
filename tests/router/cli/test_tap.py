"""`router tap`, against a recorded stream."""

import json
from typing import Any

import pytest

from tests.router.cli.conftest import Cli, Recorded


def line(name: str, **more: Any) -> dict[str, Any]:
    known = {"at": 1.25, "name": name, "place": "route", "id": "m1", "outcome": None, "reason": None, "preview": "{}"}
    return {**known, **more}


def stream(control: Recorded, *lines: dict[str, Any]) -> None:
    control.answer_raw("GET", "/v1/taps", b"".join(json.dumps(each).encode() + b"\n\n" for each in lines))


def test_messages_are_lines_and_remarks_stand_beside_them(cli: Cli, control: Recorded) -> None:
    stream(
        control,
        {"listening": ["door", "notify"]},
        line("door", place="source"),
        line("a", place="target", attempt=2),
        line("notify", outcome="dead_lettered", reason="refused: no\x1b[0m"),
        {"left_out": 1200, "failed": 1, "error": "no such field"},
        {"revision": 4, "gone": ["door"]},
    )
    ran = cli("tap", "door", "notify", "--where", "data.a", "--sample", "10%", "--limit", "5/m", "--count", "3")
    assert ran.code == 0
    told = [" ".join(one.split()[1:]) for one in ran.output.splitlines()]
    assert told == ["door in m1 {}", "a out, try 2 m1 {}", "notify dead-lettered m1 refused: no\\x1b[0m: {}"]
    assert ran.errors.splitlines() == [
        "– listening to door, notify; Ctrl-C ends it",
        "– 1,200 left out: more than the limit, or than could be looked at",
        "– --where failed on 1 message: no such field",
        "– revision 4 runs from here on",
        "– not there any more: door",
    ]
    query = {"name": "door,notify", "where": "data.a", "sample": "0.1", "count": "3"}
    assert query.items() <= control.asked[0].query.items()
    assert float(control.asked[0].query["limit"]) * 60 == 5.0


def test_with_json_each_line_is_a_document(cli: Cli, control: Recorded) -> None:
    lines = [{"listening": ["door"]}, line("door"), {"left_out": 3}]
    stream(control, *lines)
    printed = cli("tap", "door", "--json", "--count", "1").output
    assert [json.loads(each) for each in printed.splitlines()] == lines


def test_a_router_that_stops_ends_it_with_an_error(cli: Cli, control: Recorded) -> None:
    stream(control, {"listening": ["door"]}, line("door"))
    ran = cli("tap", "door")
    assert ran.code == 1
    assert "since it stops" in ran.errors


def test_whole_messages_have_their_headers_and_data(cli: Cli, control: Recorded) -> None:
    stream(control, line("door", preview="", message={"headers": {"x": "1"}, "data": "text"}))
    ran = cli("tap", "door", "--whole", "--count", "1")
    assert "x: 1" in ran.output
    assert ran.output.endswith("text\n")
    assert control.asked[0].query["whole"] == "true"


def test_ids_are_whole_where_nobody_reads_in_columns(
    cli: Cli, control: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a narrow terminal they are cut, unless the whole message is shown; a router's own fit there."""
    own, long = "0263420a2a19-17", "6f3b6f4e-8f0c-4c1e-9a51-2a4b6f3f9d11"
    stream(control, line("door", id=own), line("door", id=long), line("door", id=long, message={"data": 1}))
    assert cli("tap", "door", "--count", "3").output.count(long) == 2
    monkeypatch.setattr("router.cli.tap.terminal_width", lambda: 80)
    shown = cli("tap", "door", "--count", "3").output
    assert own in shown
    assert shown.count(long) == 1


def test_shares_and_rates_have_their_units(cli: Cli, control: Recorded) -> None:
    for wrong in (("--sample", "10"), ("--sample", "0%"), ("--limit", "100"), ("--limit", "0/s")):
        ran = cli("tap", "door", *wrong)
        assert ran.code == 2
        assert wrong[0] in ran.errors
    assert not control.asked
