"""`router mailbox --hold`, `--release` and `--drop`, against recorded answers; tests of what it shows are beside."""

import pytest

from tests.router.cli.conftest import Cli, Json, Recorded

DONE: Json = {"route": "to-crm", "target": "crm", "state": "retrying"}
REFUSED: Json = {"route": "to-fax", "target": "fax", "state": "in_hand", "why": "fax has message m1 in hand"}


def answered(control: Recorded, verb: str, **more: object) -> None:
    answer = {"name": "to-crm", "id": "m1", "done": [DONE], "refused": [], **more}
    control.answer("POST", f"/v1/actors/to-crm/mailbox/m1/{verb}", answer)


@pytest.mark.parametrize(
    ("arguments", "body", "told"),
    [
        (("--hold", "m1"), {"why": ""}, "is held"),
        (("--hold", "m1", "--reason", "let me look"), {"why": "let me look"}, "is held"),
        (("--release", "m1"), {"why": ""}, "goes on"),
        (("--drop", "m1", "--reason", "sent by mistake"), {"reason": "sent by mistake"}, "is dropped"),
    ],
)
def test_what_is_done_to_a_message_is_told_with_where_it_was(
    control: Recorded, cli: Cli, arguments: tuple[str, ...], body: Json, told: str
) -> None:
    answered(control, arguments[0].removeprefix("--"))
    ended = cli("mailbox", "to-crm", *arguments)
    assert (ended.code, ended.output) == (0, f"m1 {told}: it was retrying in to-crm, for crm\n")
    assert control.asked[-1].body == body


def test_a_message_is_dropped_for_a_reason_alone(control: Recorded, cli: Cli) -> None:
    ended = cli("mailbox", "to-crm", "--drop", "m1")
    assert (ended.code, control.asked) == (2, [])
    assert "a message is dropped for a reason" in ended.errors


def test_only_one_thing_is_done_at_a_time(control: Recorded, cli: Cli) -> None:
    ended = cli("mailbox", "to-crm", "--hold", "m1", "--release", "m2")
    assert (ended.code, control.asked) == (2, [])
    assert "--hold and --release are given together" in ended.errors


def test_what_could_not_be_done_everywhere_fails_the_command(control: Recorded, cli: Cli) -> None:
    """The message goes to several targets, and one of them has it in hand."""
    answered(control, "hold", refused=[REFUSED])
    ended = cli("mailbox", "to-crm", "--hold", "m1")
    assert (ended.code, ended.output) == (1, "m1 is held: it was retrying in to-crm, for crm\n")
    assert ended.errors == "not where it was in hand in to-fax, for fax: fax has message m1 in hand\n"
    assert cli("mailbox", "to-crm", "--hold", "m1", "--json").json["refused"] == [REFUSED]


def test_a_message_that_will_be_held_says_so_and_the_journal_s_rest_is_counted(control: Recorded, cli: Cli) -> None:
    waiting = {"id": "m1", "state": "queued", "on_hold": True, "age_s": 1.0, "attempt": 1, "preview": "{}"}
    counts = {"waiting": 1, "in_flight": 0, "retrying": 0, "suspended": 0, "held": 0}
    view = {"name": "to-crm", "waiting": [waiting], "counts": counts, "backlog": 1200}
    control.answer("GET", "/v1/actors/to-crm/mailbox", view)
    assert cli("mailbox", "to-crm").output.splitlines() == [
        "to-crm: 1 waiting",
        "",
        "STATE               ID   AGE  TRY  MESSAGE",
        "queued, to be held  m1  1.0s    1  {}",
        "",
        "1,200 messages more in the journal alone",
    ]
