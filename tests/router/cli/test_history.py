"""`router history`, against recorded answers."""

import re

from tests.router.cli.conftest import Cli, Json, Recorded

AT = 1_700_000_000.0


def revision(number: int, **more: object) -> Json:
    return {
        "number": number,
        "at": AT,
        "name": "shop",
        "action": "swap",
        "who": "uid 7 (ana)",
        "status": "confirmed",
        "why": None,
        "base": number - 1 or None,
        "path": "/etc/shop.yaml",
        "from_file": False,
        **more,
    }


PAGE: Json = {
    "running": 3,
    "under_way": "apply by ci",
    "revisions": [
        revision(3),
        revision(2, status="failed", why="the router ended before it was confirmed"),
        revision(1, action="start", who="router", from_file=True),
    ],
}


def test_revisions_are_listed_with_who_and_how_it_went(control: Recorded, cli: Cli) -> None:
    control.answer("GET", "/v1/revisions", PAGE)
    lines = cli("history").output.splitlines()
    assert re.sub(r"\d{4}-\S+ \S+", "AT", lines[1]).split(maxsplit=4) == [
        "3",
        "AT",
        "running",
        "swap",
        "uid 7 (ana)     2  /etc/shop.yaml, edited",
    ]
    assert "failed" in lines[2]
    assert lines[2].endswith("the router ended before it was confirmed")
    assert lines[3].endswith("router          –  /etc/shop.yaml")
    assert lines[-1] == "under way: apply by ci"


def test_the_text_of_a_rollback_was_edited_by_nobody(control: Recorded, cli: Cli) -> None:
    """It is that of the revision under FROM."""
    control.answer("GET", "/v1/revisions", {"running": 4, "revisions": [revision(4, action="rollback", base=1)]})
    assert cli("history").output.splitlines()[1].endswith("1  /etc/shop.yaml")


def test_a_full_page_says_how_to_go_on(control: Recorded, cli: Cli) -> None:
    control.answer("GET", "/v1/revisions", PAGE)
    assert cli("history", "--limit", "3").output.endswith("older ones: --before 1\n")
    assert control.asked[-1].query == {"limit": "3"}


def test_the_audit_log_has_all_other_changes_too(control: Recorded, cli: Cli) -> None:
    entry = {"number": 1, "at": AT, "who": "ci", "role": "viewer", "origin": "10.0.0.7", "action": "pause"}
    refused = {**entry, "object": "crm", "outcome": "refused", "why": "needs operator", "detail": {}, "revision": None}
    control.answer("GET", "/v1/audit", {"entries": [refused]})
    output = cli("history", "--audit").output
    assert re.search(r"refused +pause +crm +ci +viewer +10\.0\.0\.7 +– +needs operator$", output)


def test_one_revision_is_shown_with_its_report_or_as_it_was_written(control: Recorded, cli: Cli) -> None:
    report = {"difference": 0, "seconds": 0.1, "routes": [], "gaps": []}
    control.answer("GET", "/v1/revisions/3", {**revision(3), "text": "router: 1\nname: ${NAME}\n", "report": report})
    output = cli("history", "--revision", "3").output
    assert "file      /etc/shop.yaml, edited\n" in output
    assert output.endswith("nothing was lost: no route was touched\n")
    assert cli("history", "--revision", "3", "--text").output == "router: 1\nname: ${NAME}\n"


def test_a_text_that_is_not_told_is_an_error(control: Recorded, cli: Cli) -> None:
    control.answer("GET", "/v1/revisions/3", {**revision(3), "text": None, "report": None})
    ended = cli("history", "--revision", "3", "--text")
    assert ended.code == 1
    assert "for admins alone" in ended.errors
    assert cli("history", "--text").code == 2
