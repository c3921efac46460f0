"""`router load`: how it counts, and what it refuses before it sends anything."""

import io

import pytest

from router.cli.load import Progress
from router.cli.load_tally import Latencies, Tally
from tests.router.cli.conftest import Cli, Recorded


class Watch:
    """A stopwatch that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now(self) -> float:
        return self.now_s


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_what_has_not_arrived_is_missing_though_it_was_acknowledged(watch: Watch) -> None:
    tally = Tally("load-a", 3, watched=True, now=watch.now)
    for number in range(3):
        tally.sent(number)
    watch.now_s += 0.5
    for number in range(3):
        tally.is_acknowledged(number)
    watch.now_s += 0.5
    for number in (0, 2, 2):
        tally.has_arrived(number)
    result = tally.result()
    assert (result.acknowledged, result.arrived, result.missing, result.repeated) == (3, 2, 1, 1)
    assert (result.missing_ids, result.proved, result.seconds) == (("load-a-1",), 2, 1.0)
    assert result.acknowledging == Latencies(0.5, 0.5, 0.5, 0.5)
    assert result.arriving == Latencies(1.0, 1.0, 1.0, 1.0)


def test_where_nobody_looks_the_answer_counts(watch: Watch) -> None:
    tally = Tally("load-a", 2, watched=False, now=watch.now)
    tally.sent(0)
    tally.is_acknowledged(0)
    tally.sent(1)
    tally.is_refused("answered 503")
    result = tally.result()
    assert (result.arrived, result.missing, result.refused) == (None, 1, {"answered 503": 1})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("load-a-0", 0),
        ('{"message_id": "load-a-11", "n": 3}', 11),
        ("load-a-12", None),
        ("load-a-110000000000", None),
        ("load-b-1", None),
        ("load-a-", None),
    ],
)
def test_a_message_is_known_wherever_its_id_stands(watch: Watch, text: str, number: int | None) -> None:
    """One of another test, or beyond the last one, is nobody's."""
    assert Tally("load-a", 12, watched=True, now=watch.now).number_in(text) == number


def test_percentiles_are_of_what_was_measured() -> None:
    """By nearest rank."""
    assert Latencies.of([]) is None
    assert Latencies.of([float(number) for number in range(100, 0, -1)]) == Latencies(50.0, 95.0, 99.0, 100.0)
    assert Latencies.of([3.0, 1.0]) == Latencies(1.0, 3.0, 3.0, 3.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_in_a_terminal_alone(watch: Watch) -> None:
    tally = Tally("load-a", 2, watched=False, now=watch.now)
    tally.sent(0)
    tally.is_acknowledged(0)
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        progress = Progress(stream, "accepted")
        progress.show(tally)
        progress.show(tally)
        progress.clear()
    assert terminal.getvalue() == f"\r{'█' * 15}{'░' * 15} 1 of 2 accepted\r\x1b[K"
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "give one of --topic and --url"),
        (("--topic", "a", "--url", "http://x"), "give one of --topic and --url"),
        (("--topic", "a", "--arrive-topic", "b"), "belong to --url"),
        (("--url", "localhost:8080"), "should begin with http://"),
        (("--url", "http://x", "-H", "token"), "should be NAME=VALUE"),
        (("--topic", "a", "--messages", "0"), "0 is not between 1 and 1000000"),
        (("--topic", "a/#", "--broker", "mqtt://127.0.0.1:1"), "no #"),
        (("--topic", "a", "--broker", "amqp://127.0.0.1"), "expected embedded:"),
    ],
)
def test_what_cannot_be_is_wrong_usage(cli: Cli, arguments: tuple[str, ...], error: str) -> None:
    ended = cli("load", *arguments)
    assert (ended.code, ended.output) == (2, "")
    assert error in ended.errors


def test_the_broker_is_the_running_router_s_unless_it_is_named(
    control: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be reached is an error, and is named without its password."""
    monkeypatch.delenv("MQTT_URL", raising=False)
    control.answer("GET", "/v1/router", {"listening": [{"what": "http", "address": "http://127.0.0.1:1"}]})
    ended = cli("load", "--topic", "a")
    assert (ended.code, "has no broker in the house" in ended.errors) == (1, True)
    address = {"what": "broker", "address": "mqtt://127.0.0.1:1"}
    control.answer("GET", "/v1/router", {"listening": [address]})
    ended = cli("load", "--topic", "a")
    assert (ended.code, "the broker at mqtt://127.0.0.1:1 cannot be used" in ended.errors) == (1, True)
    monkeypatch.setenv("MQTT_URL", "mqtt://user:s3cret@127.0.0.1:2")
    ended = cli("load", "--topic", "a")
    assert (ended.code, "mqtt://127.0.0.1:2" in ended.errors, "s3cret" in ended.errors) == (1, True, False)


def test_without_a_router_it_says_how_to_name_a_broker(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MQTT_URL", raising=False)
    monkeypatch.setenv("ROUTER_CONTROL", "/nonexistent/control.sock")
    ended = cli("load", "--topic", "a")
    assert (ended.code, "--broker or MQTT_URL" in ended.errors) == (3, True)
