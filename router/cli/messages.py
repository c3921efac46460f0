"""`router send` and `router ask`: messages from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from router.cli.client import TIMEOUT_S, Client, Json, control_socket
from router.cli.command import APP, Command
from router.cli.failure import FAILED, Failure
from router.cli.options import AsJson, Control, actor_names, duration
from router.cli.terminal import print_data, print_json, printable, styled

app = typer.Typer(**APP)

BAD_ENDS: Final = ("dropped", "expired", "dead_lettered")
"""Outcomes that nobody asks a message for."""
MARGIN_S: Final = 5.0
"""How much longer than the router we wait for its answer."""

Actor = Annotated[
    str,
    typer.Argument(
        metavar="ACTOR",
        help="A source: the message enters its routes as if it had come in. A target: it is delivered there.",
        autocompletion=actor_names,
    ),
]
Data = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="What parses as JSON is JSON, all else is text. `-` reads standard input, `@FILE` a file.",
        show_default=False,
    ),
]
Text = Annotated[bool, typer.Option("--text", help="DATA is text, even where it parses as JSON.")]
Headers = Annotated[list[str], typer.Option("--header", "-H", metavar="NAME=VALUE", help="A header; may be repeated.")]
Id = Annotated[str | None, typer.Option("--id", metavar="ID", help="The message's id; else one is made.")]
Key = Annotated[str | None, typer.Option("--key", metavar="KEY", help="The partition key.")]
Type = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="The CloudEvents type.")]
Subject = Annotated[str | None, typer.Option("--subject", metavar="SUBJECT", help="The CloudEvents subject.")]


@app.command(
    cls=Command,
    epilog="""router send clientes-in '{"to": "+593987654321", "text": "hola"}'
router send clientes-in @order.json --key order-17 --header x-origin=shell
cat order.json | router send clientes-in -""",
)
def send(
    actor: Actor,
    data: Data = None,
    header: Headers = [],  # noqa: B006  # typer copies it
    text: Text = False,
    id_: Id = None,
    key: Key = None,
    type_: Type = None,
    subject: Subject = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Send a message to an actor.

    Returns when it is accepted: where every route is durable, when it is in the journal, else when it has ended.
    Exits with 1 where it was dropped, expired or became a dead letter by then.
    """
    body = _body(data, header, text=text, id=id_, key=key, type=type_, subject=subject)
    answer = Client(control_socket(control)).post("actors", actor, "messages", body={**body, "wait": False})
    if as_json:
        print_json(answer)
    else:
        print(f"{printable(str(answer.get('id')))} {_word(answer.get('outcome') or answer.get('status'))}")
    _end(answer)


@app.command(cls=Command, epilog="""router ask clientes-http '{"to": "+593987654321"}' --timeout 5s""")
def ask(
    actor: Actor,
    data: Data = None,
    header: Headers = [],  # noqa: B006  # typer copies it
    text: Text = False,
    id_: Id = None,
    key: Key = None,
    type_: Type = None,
    subject: Subject = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="How long to wait.", show_default="10s"),
    ] = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Send a message to an actor and wait for what becomes of it.

    Prints the data of the reply, where there is one, and on standard error how the message ended. Exits with 1
    where it was dropped, expired or became a dead letter.
    """
    body = _body(data, header, text=text, id=id_, key=key, type=type_, subject=subject)
    timeout_s = TIMEOUT_S if timeout is None else duration(timeout, "--timeout")
    body |= {"wait": True, "timeout_s": timeout_s}
    client = Client(control_socket(control))
    answer = client.post("actors", actor, "messages", body=body, timeout_s=timeout_s + MARGIN_S)
    if as_json:
        print_json(answer)
        _end(answer)
        return
    reply = answer.get("reply")
    if reply is not None:
        print_data(reply.get("data", reply.get("data_base64")))
        sys.stdout.flush()
    status = f" with status {reply['status']}" if reply is not None and reply.get("status") else ""
    reason = f": {printable(str(answer['reason']))}" if answer.get("reason") else ""
    outcome = _word(answer.get("outcome") or answer.get("status"))
    message = f"{printable(str(answer.get('id')))} {outcome}{reason}{', answered' + status if reply else ''}"
    print(styled(message, "dim", sys.stderr), file=sys.stderr)
    _end(answer)


def _body(data: str | None, headers: list[str], *, text: bool, **attributes: str | None) -> Json:
    body: Json = {"data": read_data(data, text=text), "headers": dict(map(_header, headers))}
    return body | {name: value for name, value in attributes.items() if value is not None}


def read_data(given: str | None, *, text: bool) -> Any:
    """What DATA means: JSON where it parses as that, else text; of standard input for `-`, of a file for `@FILE`."""
    if given is None:
        return None
    if given == "-":
        given = _decoded(sys.stdin.buffer.read(), "standard input")
    elif given.startswith("@"):
        path = Path(given[1:])
        try:
            given = _decoded(path.read_bytes(), str(path))
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror or error}") from None
    if text:
        return given
    try:
        return json.loads(given, parse_constant=_refuse)
    except ValueError:
        return given


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Failure(f"{where} is not UTF-8, and only text and JSON can be sent from here") from None


def _refuse(constant: str) -> None:
    """NaN and its like are no JSON, though Python reads them."""
    raise ValueError(constant)


def _header(given: str) -> tuple[str, str]:
    name, separator, value = given.partition("=")
    if not separator or not name.strip():
        raise typer.BadParameter(f"{given!r} should be NAME=VALUE", param_hint="--header")
    return name.strip(), value.strip()


def _word(outcome: object) -> str:
    return printable(str(outcome).replace("_", " "))


def _end(answer: Json) -> None:
    if answer.get("outcome") in BAD_ENDS:
        raise typer.Exit(FAILED)
