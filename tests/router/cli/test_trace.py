"""`router trace`, against recorded answers."""

from typing import Any

from tests.router.cli.conftest import Cli, Json, Recorded


def happening(what: str, after_s: float, **more: Any) -> Json:
    return {"what": what, "at": 1_700_000_000.0 + after_s, "after_s": after_s, "id": "m1", "route": "notify", **more}


def recorded(control: Recorded, *happenings: Json, under_way: bool = False) -> None:
    answer = {"id": "m1", "under_way": under_way, "happenings": list(happenings), "remembered": 3, "since": 1.0}
    control.answer("GET", "/v1/traces/m1", answer)


def test_a_timeline_tells_what_happened_and_when(cli: Cli, control: Recorded) -> None:
    recorded(
        control,
        happening("accepted", 0.0, source="door"),
        happening("attempt_failed", 0.0123, target="a", attempt=1, reason="refused", error="said 500", retry_in_s=1.0),
        happening("suspended", 0.5, id=None, target="a", error="it is away"),
        happening("switched", 0.6, id=None, route=None, revision=4),
        happening("handed_over", 1.01, target="a", attempt=2, steps=["filter", "map"]),
        happening("ended", 1.02, target="a", outcome="delivered", steps=[]),
    )
    ran = cli("trace", "m1")
    lines = ran.output.splitlines()
    assert lines[0].startswith("m1 accepted 20")
    assert lines[0].endswith(", delivered 1.0s later")
    assert [line.rstrip() for line in lines[2:]] == [
        "  AFTER  ROUTE   WHAT",
        "  0.0ms  notify  accepted from door",
        " 12.3ms  notify  attempt 1 at a failed (refused): said 500; again in 1.0s",
        "500.0ms  notify  the route waits for a: it is away",
        "600.0ms          revision 4 runs from here on",
        "   1.0s  notify  handed to a, attempt 2, behind filter, map",
        "   1.0s  notify  delivered",
    ]


def test_parts_have_their_ids_and_the_whole_ends_behind_them(cli: Cli, control: Recorded) -> None:
    recorded(
        control,
        happening("accepted", 0.0, source="door", letter="d7"),
        happening("ended", 0.1, id="m1-1", outcome="dropped", reason="full", target="a"),
        happening("ended", 0.1, id="m1-2", outcome="filtered", step="filter", steps=["split"]),
        happening("ended", 0.1, whole=True, step="split", outcome="dropped"),
        happening("ended", 0.2, targets=["a", "b"], outcome="delivered"),
    )
    out = cli("trace", "m1").output
    assert "m1    accepted from door, as a replay of d7" in out
    assert "m1-1  dropped on its way to a: full" in out
    assert "m1-2  filtered by the step filter, behind split" in out
    assert "split by split, and all parts have ended; the whole is dropped" in out
    assert "delivered to a, b" in out


def test_what_is_under_way_says_where_it_is(cli: Cli, control: Recorded) -> None:
    now = happening("under_way", 2.0, state="retrying", retry_in_s=3.0, target="a", attempt=2)
    recorded(control, happening("accepted", 0.0, source="door"), now, under_way=True)
    out = cli("trace", "m1").output
    assert "still under way" in out
    assert "now: waits for its next attempt in 3.0s (for a, attempt 2)" in out


def test_a_message_nobody_remembers_is_a_failure(cli: Cli, control: Recorded) -> None:
    control.answer("GET", "/v1/traces/m1", {"detail": "there is no trace of message 'm1': …"}, 404)
    ran = cli("trace", "m1")
    assert ran.code == 1
    assert "there is no trace" in ran.errors
