"""`router dead-letters`: what no target took, and what to do with it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Annotated, Final, Literal

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command, Group
from router.cli.failure import FAILED, WRONG_USAGE, Failure
from router.cli.figures import NOTHING, count, plural, span
from router.cli.mailbox import show_message
from router.cli.options import AsJson, Control, Limit
from router.cli.pieces import Chosen, Pieces
from router.cli.table import Column, print_table
from router.cli.terminal import confirmed, print_json, printable, styled

app = typer.Typer(
    **APP,
    cls=Group,
    no_args_is_help=True,
    help="""List, show, replay and drop dead letters.

A message becomes a dead letter when no target took it. It stays in the router's store, with why, until it is
replayed or dropped, or until the topology's `settings.retention` lets it go.""",
    epilog="""router dead-letters list
router dead-letters replay d17
router dead-letters drop --route notify-clientes --all""",
)

LISTED: Final = 20
"""Failures that are told one by one; more are counted by their reasons."""

Route = Annotated[str | None, typer.Option("--route", metavar="ROUTE", help="Of this route alone.")]
Target = Annotated[str | None, typer.Option("--target", metavar="ACTOR", help="Of this target alone.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="REASON", help="With this reason alone.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="Since then: how long ago (90s, 1h, 2d), or a date and time."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Before then, written likewise.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Which ones, as `list` shows them.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All, or all that the filters choose.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --all.")]

_COLUMNS: Final = (
    Column("id"),
    Column("age", right=True),
    Column("route", least=10),
    Column("target", least=10),
    Column("reason"),
    Column("tries", right=True, spare=1),
    Column("error", least=34),
)


@app.command("list", cls=Command, epilog="router dead-letters list --route notify-clientes --since 1h")
def list_(
    route: Route = None,
    target: Target = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="ID", help="Go on behind this one, the last that was shown.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """List dead letters, the youngest first."""
    chosen = _filter(route, target, reason, since, until)
    answer = Client(control_socket(control)).get("dead-letters", **chosen, before=before, limit=limit)
    if as_json:
        print_json(answer)
        return
    letters: list[Json] = answer.get("dead_letters", [])
    if not letters:
        print("there are none" if not chosen and before is None else "there are none like that")
        return
    now = time.time()
    print_table(_COLUMNS, (_row(letter, now) for letter in letters))
    if len(letters) >= limit:
        total = answer.get("total") or 0
        told = f" ({count(total)} in all)" if total > len(letters) else ""
        print(styled(f"\nolder ones: --before {printable(str(letters[-1].get('id')))}{told}", "dim", sys.stdout))


@app.command(cls=Command, epilog="router dead-letters show d17")
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Which one, as `list` shows it.")],
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Show a dead letter whole: why it is one, and the message.

    Fields that the topology's `settings.redact` names are masked.
    """
    letter = Client(control_socket(control)).get("dead-letters", id_)
    print_json(letter) if as_json else show_message(letter)


@app.command(
    cls=Command,
    epilog="router dead-letters replay d17 d18\nrouter dead-letters replay --route notify-clientes --all --as current",
)
def replay(
    ids: Ids = [],  # noqa: B006  # typer copies it
    as_: Annotated[
        Literal["original", "current"],
        typer.Option(
            "--as",
            metavar="original|current",
            help="original: to the target that failed; current: through the route anew, steps and all.",
        ),
    ] = "original",
    route: Route = None,
    target: Target = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Send dead letters again.

    One that is delivered, or that a durable route has accepted anew, is a dead letter no more; one that fails again is
    the same dead letter, with its latest failure. Exits with 1 where one of them was not sent, or failed.
    """
    client = Client(control_socket(control))
    chosen = _chosen(client, "replay", ids, _filter(route, target, reason, since, until), all_=all_, yes=yes)
    work = Pieces(client, "replay", {"as": as_})
    try:
        work.run(chosen)
    finally:
        # Also where it was cut short: what was done is done.
        print_json(work.answer) if as_json else _tell_replayed(work)
    if work.failed or work.left:
        raise typer.Exit(FAILED)


@app.command(
    cls=Command, epilog="router dead-letters drop d17\nrouter dead-letters drop --reason expression --all --yes"
)
def drop(
    ids: Ids = [],  # noqa: B006  # typer copies it
    route: Route = None,
    target: Target = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Delete dead letters for good. Exits with 1 where one of those that were named is not there."""
    client = Client(control_socket(control))
    chosen = _chosen(client, "drop", ids, _filter(route, target, reason, since, until), all_=all_, yes=yes)
    work = Pieces(client, "drop", {})
    try:
        work.run(chosen)
    finally:
        print_json({"dropped": work.done}) if as_json else print(f"{count(work.done)} dropped")
    if missing := len(set(ids)) - work.done if ids else 0:
        hint = "`router dead-letters list` shows those that are"
        raise Failure(
            f"{count(missing)} of those that were named {'is' if missing == 1 else 'are'} not there", hint=hint
        )


def _filter(
    route: str | None, target: str | None, reason: str | None, since: str | None, until: str | None
) -> dict[str, str]:
    """What the options choose, as the control API takes it."""
    chosen = {"route": route, "target": target, "reason": reason, "since": since, "until": until}
    return {name: value for name, value in chosen.items() if value is not None}


def _chosen(client: Client, verb: str, ids: list[str], chosen: dict[str, str], *, all_: bool, yes: bool) -> Chosen:
    """What the arguments mean; asks a person before --all."""
    if bool(ids) == all_ or (ids and chosen):
        hint = f"say which to {verb}: either their ids, or --all, which filters may narrow"
        raise Failure("that does not say which dead letters", hint=hint, code=WRONG_USAGE)
    if ids:
        return Chosen(ids, {}, len(ids), "")
    page = client.get("dead-letters", **chosen, limit=1)
    total, letters = page.get("total") or 0, page.get("dead_letters") or [{}]
    which = (
        plural(total, "dead letter that matches", "dead letters that match") if chosen else plural(total, "dead letter")
    )
    if total and not yes:
        if not sys.stdin.isatty():
            raise Failure(f"nobody is here to say whether to {verb} {which}", hint="--yes does it without asking")
        if not confirmed(f"{verb} {which}?"):
            raise typer.Exit(FAILED)
    return Chosen([], chosen, total, str(letters[0].get("id", "")))


def _row(letter: Json, now: float) -> list[str]:
    at = letter.get("at")
    return [
        str(letter.get("id")),
        span(now - at if isinstance(at, int | float) else None),
        letter.get("route") or NOTHING,
        letter.get("target") or NOTHING,
        str(letter.get("reason")),
        count(letter.get("attempts")),
        letter.get("error") or "",
    ]


def _tell_replayed(work: Pieces) -> None:
    told = f"{count(work.done)} replayed"
    print(f"{told}, {count(len(work.failed))} failed" if work.failed else told)
    if len(work.failed) > LISTED:
        whys = Counter(str(one.get("why")).replace(f"{one.get('id')} ", "") for one in work.failed)
        for why, times in whys.most_common(LISTED):
            print(f"{times:>6} × {printable(why)}", file=sys.stderr)
    else:
        for one in work.failed:
            print(f"  {printable(str(one.get('id')))}: {printable(str(one.get('why')))}", file=sys.stderr)
    if work.left:
        print(f"{count(work.left)} are left: the same command goes on with them", file=sys.stderr)
