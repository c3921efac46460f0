"""`router load`: sends many messages, and proves that they arrived."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer

from router.cli.command import APP, Command
from router.cli.failure import FAILED, WRONG_USAGE, Failure
from router.cli.figures import NOTHING, count, plural, span
from router.cli.load_broker import VARIABLE, choose
from router.cli.options import AsJson, Control, duration
from router.cli.progress import Bar
from router.cli.terminal import print_json, printable, styled

if TYPE_CHECKING:
    from router.cli.load_tally import Latencies, Result, Tally

app = typer.Typer(**APP)


@app.command(
    cls=Command,
    epilog="""router load --topic whatsapp/clientes/send --messages 100
router load --topic test --broker mqtt://127.0.0.1:1883 --data '{"n": {n}}'
router load --url http://127.0.0.1:8080/notify --arrive-topic out --json""",
)
def load(
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="Publish here, and see the messages arrive here.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="POST here; 2xx is accepted.")] = None,
    arrive_topic: Annotated[
        str | None, typer.Option("--arrive-topic", metavar="TOPIC", help="With --url: see the messages arrive here.")
    ] = None,
    messages: Annotated[int, typer.Option("--messages", metavar="N", min=1, max=1_000_000, help="How many.")] = 100,
    broker: Annotated[
        str | None,
        typer.Option("--broker", metavar="URL", help="The broker; else MQTT_URL, else the one of the running router."),
    ] = None,
    connection: Annotated[
        str | None,
        typer.Option("--connection", metavar="NAME", help="The broker of this connection of the running router."),
    ] = None,
    qos: Annotated[int, typer.Option("--qos", metavar="QOS", min=0, max=2, help="Both ways.")] = 1,
    in_flight: Annotated[
        int, typer.Option("--in-flight", metavar="N", min=1, max=10_000, help="How many may wait for their answer.")
    ] = 50,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="TEXT",
            help="What to send: `{id}` and `{n}` become the message's id and number. Else a small notification.",
        ),
    ] = None,
    header: Annotated[
        list[str], typer.Option("--header", "-H", metavar="NAME=VALUE", help="With --url; may be repeated.")
    ] = [],  # noqa: B006  # typer copies it
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="How long to wait for the next one.", show_default="10s"),
    ] = None,
    as_json: AsJson = False,
    control: Control = None,
) -> None:
    """Send many messages and prove that they arrived.

    With --topic they are published, and a subscription sees them arrive. With --url they are posted: what is
    answered with 2xx counts, and with --arrive-topic only what arrives there does. Prints how many are missing,
    how many came twice, and latencies: until the answer, and until the arrival. Exits with 1 where some are
    missing. Whoever else has subscribed receives the messages too.

    What is answered 503 (or 429) with Retry-After is sent again then, as long as there is any progress within
    --timeout; its latency begins with the first time.
    """
    if (topic is None) == (url is None):
        raise Failure("give one of --topic and --url", hint="`router load --help` has examples", code=WRONG_USAGE)
    if topic is not None and (arrive_topic is not None or header):
        raise Failure("--arrive-topic and --header belong to --url", code=WRONG_USAGE)
    if topic is None and arrive_topic is None and (broker is not None or connection is not None):
        raise Failure("a broker is of use with --topic or --arrive-topic alone", code=WRONG_USAGE)
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url!r} should begin with http:// or https://", param_hint="--url")

    from router.cli.load_run import Plan, run

    watched = topic or arrive_topic
    levels: dict[int, Literal[0, 1, 2]] = {0: 0, 1: 1, 2: 2}
    plan = Plan(
        messages=messages,
        topic=watched,
        url=url,
        broker=choose(broker, connection, control, os.environ.get(VARIABLE)) if watched is not None else None,
        qos=levels[qos],
        in_flight=in_flight,
        data=data,
        headers=dict(map(_header, header)),
        timeout_s=10.0 if timeout is None else duration(timeout, "--timeout"),
    )
    progress = Progress(sys.stderr, "arrived" if watched is not None else "accepted")
    try:
        result = asyncio.run(run(plan, progress.show))
    finally:
        progress.clear()
    if as_json:
        print_json(_as_dict(result))
    else:
        print("\n".join(_lines(result)))
    if result.missing:
        raise typer.Exit(FAILED)


class Progress:
    """How many messages have arrived, while they do."""

    def __init__(self, stream: IO[str], word: str) -> None:
        self._bar = Bar(stream)
        self._word = word

    def show(self, tally: Tally) -> None:
        postponed = f", {count(tally.postponed)} postponed" if tally.postponed else ""
        self._bar.show(tally.proved, tally.messages, self._word + postponed)

    def clear(self) -> None:
        self._bar.clear()


def _header(given: str) -> tuple[str, str]:
    name, separator, value = given.partition("=")
    if not separator or not name.strip():
        raise typer.BadParameter(f"{given!r} should be NAME=VALUE", param_hint="--header")
    return name.strip(), value.strip()


def _lines(result: Result) -> Iterator[str]:
    word = "accepted" if result.arrived is None else "arrived"
    verdict = f"{count(result.proved)} of {plural(result.messages, 'message')} {word}"
    took = f"in {span(result.seconds)}, {count(round(result.per_second))}/s"
    yield f"{styled(verdict, 'red' if result.missing else 'green', sys.stdout)} {took}"
    if result.missing:
        more = f" and {count(result.missing - len(result.missing_ids))} more"
        yield f"missing: {', '.join(result.missing_ids)}{more if result.missing > len(result.missing_ids) else ''}"
    for why, number in sorted(result.refused.items(), key=lambda item: -item[1]):
        yield f"not acknowledged: {count(number)}: {printable(why)}"
    if result.postponed:
        yield f"postponed: {plural(result.postponed, 'answer')} with Retry-After, after which it was sent again"
    if result.repeated:
        yield f"came more than once: {count(result.repeated)}"
    yield f"{'':12}{'p50':>10}{'p95':>10}{'p99':>10}{'max':>10}"
    yield _row("answered", result.acknowledging)
    if result.arrived is not None:
        yield _row("arrived", result.arriving)


def _row(name: str, latencies: Latencies | None) -> str:
    values = [None] * 4 if latencies is None else list(latencies.as_dict().values())
    return f"{name:12}" + "".join(f"{_latency(value):>10}" for value in values)


def _latency(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    return f"{seconds * 1000:.1f}ms" if seconds < 1.0 else span(seconds)


def _as_dict(result: Result) -> dict[str, Any]:
    def latencies(measured: Latencies | None) -> dict[str, float] | None:
        return None if measured is None else {name: round(took_s, 6) for name, took_s in measured.as_dict().items()}

    return {
        "messages": result.messages,
        "acknowledged": result.acknowledged,
        "arrived": result.arrived,
        "missing": result.missing,
        "missing_ids": list(result.missing_ids),
        "repeated": result.repeated,
        "refused": result.refused,
        "postponed": result.postponed,
        "seconds": round(result.seconds, 6),
        "per_second": round(result.per_second, 1),
        "latency_s": {"answered": latencies(result.acknowledging), "arrived": latencies(result.arriving)},
    }
