"""`router mailbox`: what waits for an actor or a route, and what is done to single messages of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from router.cli.client import Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.failure import FAILED, WRONG_USAGE, Failure
from router.cli.figures import NOTHING, count, moment, plural, size, span
from router.cli.options import AsJson, Control, Limit, names
from router.cli.table import Column, print_facts, print_note, print_table
from router.cli.terminal import print_data, print_json, printable, styled

app = typer.Typer(**APP)

_MESSAGE_COLUMNS: Final = (
    Column("state"),
    Column("id", least=12),
    Column("key", least=8),
    Column("age", right=True),
    Column("try", right=True),
    Column("size", right=True, spare=2),
    Column("target", least=10, spare=1),
    Column("message", least=20),
)
_SECTIONS: Final = ("in_flight", "retrying", "suspended", "held", "waiting")
"""Of a mailbox, in the order in which their messages will end."""

_DONE: Final = {"hold": "is held", "release": "goes on", "drop": "is dropped"}


@app.command(
    cls=Command,
    epilog="router mailbox notify-clientes\nrouter mailbox notify-clientes --message 6720aa3f01d2-17\n"
    "router mailbox notify-clientes --hold 6720aa3f01d2-17\n"
    'router mailbox notify-clientes --drop 6720aa3f01d2-17 --reason "a mistake"',
)
def mailbox(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A route, a target or a source.", autocompletion=names)],
    message: Annotated[str | None, typer.Option("--message", metavar="ID", help="Show this message whole.")] = None,
    hold: Annotated[
        str | None, typer.Option("--hold", metavar="ID", help="Let this message go no further until it is released.")
    ] = None,
    release: Annotated[str | None, typer.Option("--release", metavar="ID", help="Let it go on.")] = None,
    drop: Annotated[
        str | None, typer.Option("--drop", metavar="ID", help="End this message for good; --reason is needed.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why: its source is told, and the audit log has it.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Show what waits and is in flight; hold, release and drop messages.

    NAME is a route, a target, or a source, of which what came in there is shown. What waits for a retry, and for a
    target that is away, is there too. Fields that the topology's `settings.redact` names are masked.

    A message that is held keeps its place, its attempts and its key: those behind it in its order wait. A hold does not
    survive a restart of the router. What a target has in hand ends there, and is neither held nor dropped.
    """
    steered = _chosen(message=message, hold=hold, release=release, drop=drop)
    client = Client(control_socket(control))
    if steered is not None and steered[0] != "message":
        _act(client, name, *steered, reason=reason, as_json=as_json)
        return
    if message is not None:
        whole = client.get("actors", name, "mailbox", message)
        print_json(whole) if as_json else show_message(whole)
        return
    view = client.get("actors", name, "mailbox", limit=limit)
    if as_json:
        print_json(view)
        return
    counts = {section: view.get("counts", {}).get(section, len(view.get(section, ()))) for section in _SECTIONS}
    shown = [(section, one) for section in _SECTIONS for one in view.get(section, ())]
    told = [f"{count(number)} {section.replace('_', ' ')}" for section, number in counts.items() if number]
    print(f"{printable(view.get('name', name))}: {', '.join(told) or 'empty'}")
    if shown:
        print()
        print_messages(shown)
    missing = sum(counts.values()) - len(shown)
    if missing > 0:
        print(styled(f"\n{plural(missing, 'message')} more: --limit shows them", "dim", sys.stdout))
    if backlog := view.get("backlog"):
        print(styled(f"\n{plural(backlog, 'message')} more in the journal alone", "dim", sys.stdout))


def print_messages(messages: Sequence[tuple[str, Json]]) -> None:
    """Print messages of a mailbox, each with the part of the mailbox that it is in."""
    rows = [_message_row(*message) for message in messages]
    # A column in which nothing stands takes room from what the message holds.
    kept = [place for place, _ in enumerate(_MESSAGE_COLUMNS) if any(row[place] != NOTHING for row in rows)]
    print_table([_MESSAGE_COLUMNS[place] for place in kept], ([row[place] for place in kept] for row in rows))
    errors = Counter(view["last_error"] for _, view in messages if view.get("last_error"))
    if errors:
        print(styled("\nlast errors", "dim", sys.stdout))
        for error, times in errors.most_common():
            print(f"{times:>4} × {printable(error)}")


def _message_row(section: str, view: Json) -> list[str]:
    state = str(view.get("state") or section).replace("_", " ")
    if (due := view.get("retry_in_s")) is not None:
        state += f" in {span(due)}"
    if view.get("on_hold") and view.get("state") != "on_hold":
        state += ", to be held"
    return [
        state,
        view.get("id") or NOTHING,
        str(view["key"]) if view.get("key") is not None else NOTHING,
        span(view.get("age_s")),
        count(view.get("attempt")),
        size(view.get("size")),
        view.get("target") or NOTHING,
        view.get("preview") or "",
    ]


def show_message(view: Json) -> None:
    """Print a message whole: what is known of it, its headers, and its data."""
    facts = dict(view)
    headers = facts.pop("headers", None) or {}
    data, encoded = facts.pop("data", None), facts.pop("data_base64", None)
    print_facts(_facts(name, value) for name, value in facts.items())
    if headers:
        print(styled("\nheaders", "dim", sys.stdout))
        print_facts(headers.items())
    print(styled("\ndata" if encoded is None else "\ndata (bytes, in base64)", "dim", sys.stdout))
    print_data(data if encoded is None else encoded)


def _facts(name: str, value: Any) -> tuple[str, str]:
    words = name.removesuffix("_s").replace("_", " ")
    if value is None:
        return words, ""
    if isinstance(value, bool):
        return words, "yes" if value else "no"
    if isinstance(value, int | float):
        if name.endswith("_s"):
            return words, span(value)
        if name in ("time", "at", "expirytime"):
            return words, moment(value)
        if name == "size":
            return words, size(int(value))
    return words, str(value)


# One message


def _chosen(**ids: str | None) -> tuple[str, str] | None:
    """What is to be done, and to which message; None where nothing is. Raises `Failure` where it is too much."""
    given = [(verb, message_id) for verb, message_id in ids.items() if message_id is not None]
    if len(given) > 1:
        options = " and ".join(f"--{verb}" for verb, _ in given)
        raise Failure(f"{options} are given together", hint="one at a time", code=WRONG_USAGE)
    return given[0] if given else None


def _act(client: Client, name: str, verb: str, message_id: str, *, reason: str | None, as_json: bool) -> None:
    """Hold, release or drop a message, and say where it was."""
    if verb == "drop" and not reason:
        hint = "--reason TEXT: its source is told, and the audit log has it"
        raise Failure("a message is dropped for a reason", hint=hint, code=WRONG_USAGE)
    body = {"reason": reason} if verb == "drop" else {"why": reason or ""}
    answer = client.post("actors", name, "mailbox", message_id, verb, body=body)
    if as_json:
        print_json(answer)
    else:
        for one in answer.get("done", ()):
            print_note(message_id, f"{_DONE[verb]}: it {_place(one)}")
        for one in answer.get("refused", ()):
            print(f"not where it {_place(one)}: {printable(str(one.get('why')))}", file=sys.stderr)
    if answer.get("refused"):
        raise typer.Exit(FAILED)


def _place(one: Json) -> str:
    target = f", for {one['target']}" if one.get("target") else ""
    return printable(f"was {str(one.get('state')).replace('_', ' ')} in {one.get('route')}{target}")
