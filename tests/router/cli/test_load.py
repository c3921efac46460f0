"""`router load`: how it counts, and what it refuses before it sends anything."""

import io

import pytest

from router.cli.load import Progress
from router.cli.load_tally import Latencies, Tally
from tests.router.cli.conftest import Cli, Json, Recorded


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


def test_the_longest_progress_fits_into_a_terminal(watch: Watch) -> None:
    tally = Tally("load-a", 1_000_000, watched=False, now=watch.now)
    tally.acknowledged = 1_000_000
    tally.postponed = 99_999
    terminal = Terminal()
    Progress(terminal, "accepted").show(tally)
    assert terminal.getvalue().endswith(", 99,999 postponed")
    assert len(terminal.getvalue().lstrip("\r")) <= 80


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
        (("--topic", "a", "--broker", "amqp://127.0.0.1"), "begins with mqtt://, mqtts://, ws://, wss://"),
        (("--topic", "a", "--broker", "mqtt://127.0.0.1/x"), "mqtt:// has no path"),
        (("--topic", "a", "--broker", "mqtt://x", "--connection", "y"), "give one of --broker and --connection"),
        (("--url", "http://x", "--connection", "y"), "with --topic or --arrive-topic alone"),
    ],
)
def test_what_cannot_be_is_wrong_usage(cli: Cli, arguments: tuple[str, ...], error: str) -> None:
    ended = cli("load", *arguments)
    assert (ended.code, ended.output) == (2, "")
    assert error in ended.errors


def connection(name: str = "broker", **changed: object) -> Json:
    """The view of a connection to a port where nobody listens."""
    free = {"url": "mqtt://127.0.0.1:1", "protocol": "5", "login": "none", "credentials": None}
    return {"name": name, "type": "mqtt", **free, **changed}


@pytest.fixture
def without_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MQTT_URL", raising=False)


@pytest.mark.usefixtures("without_variable")
def test_the_broker_is_the_one_that_the_running_router_uses(control: Recorded, cli: Cli) -> None:
    """One that cannot be reached is an error."""
    control.answer("GET", "/v1/router", {"connections": [connection()]})
    ended = cli("load", "--topic", "a")
    assert (ended.code, "the broker at mqtt://127.0.0.1:1 cannot be used" in ended.errors) == (1, True)


@pytest.mark.usefixtures("without_variable")
@pytest.mark.parametrize(
    ("connections", "arguments", "code", "error", "hint"),
    [
        ([], (), 1, "the running router shop uses no broker", "--broker mqtt://HOST:1883"),
        ([connection(type="redis")], (), 1, "the running router shop uses no broker", "--broker mqtt://HOST:1883"),
        ([connection("a"), connection("b")], (), 2, "several brokers: a, b", "--connection a"),
        ([connection("a")], ("--connection", "x"), 2, "no connection of type mqtt named 'x'", "it has: a"),
        ([connection(login="secret")], (), 1, "wants a login", "--broker mqtt://USER:PASSWORD@127.0.0.1:1"),
        ([connection(login="kept", credentials="/none/credentials.json")], (), 1, "cannot be read from /none/", ""),
    ],
)
def test_where_the_broker_is_not_to_be_had_it_says_what_to_do(
    control: Recorded, cli: Cli, connections: list[Json], arguments: tuple[str, ...], code: int, error: str, hint: str
) -> None:
    control.answer("GET", "/v1/router", {"name": "shop", "connections": connections})
    ended = cli("load", "--topic", "a", *arguments)
    assert (ended.code, ended.output) == (code, "")
    assert error in ended.errors
    assert hint in ended.errors


def test_of_several_brokers_one_is_chosen_by_its_connection(
    control: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the variable says."""
    monkeypatch.setenv("MQTT_URL", "mqtt://127.0.0.1:3")
    two = [connection("a"), connection("b", url="mqtt://127.0.0.1:2")]
    control.answer("GET", "/v1/router", {"connections": two})
    assert "the broker at mqtt://127.0.0.1:2 cannot" in cli("load", "--topic", "a", "--connection", "b").errors
    assert "the broker at mqtt://127.0.0.1:3 cannot" in cli("load", "--topic", "a").errors


@pytest.mark.parametrize("named", ["embedded:", "mosquitto:"])
def test_a_broker_in_the_house_is_looked_for_whatever_the_variable_says(
    control: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """As a variable such a name is for the topology; as an option it is refused."""
    monkeypatch.setenv("MQTT_URL", named)
    control.answer("GET", "/v1/router", {"connections": [connection()]})
    assert "the broker at mqtt://127.0.0.1:1 cannot be used" in cli("load", "--topic", "a").errors
    ended = cli("load", "--topic", "a", "--broker", named)
    assert (ended.code, "leave --broker out" in ended.errors) == (2, True)


def test_a_broker_is_named_without_its_password(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_URL", "mqtt://user:s3cret@127.0.0.1:2")
    ended = cli("load", "--topic", "a")
    assert (ended.code, "mqtt://127.0.0.1:2" in ended.errors, "s3cret" in ended.errors) == (1, True, False)


@pytest.mark.usefixtures("without_variable")
def test_without_a_router_it_says_how_to_name_a_broker(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_CONTROL", "/nonexistent/control.sock")
    ended = cli("load", "--topic", "a")
    assert (ended.code, "no router is running" in ended.errors) == (3, True)
    assert "--broker mqtt://HOST:1883 or MQTT_URL" in ended.errors
