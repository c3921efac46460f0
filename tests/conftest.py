"""What every test may ask for: the loop, ports, real servers, and the payloads that others wrote."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import system
from tests.loop import Run, run_to_end
from tests.postgresql import PostgresServer
from tests.servers import RedisServer
from tests.servers import free_port as find_free_port

ROOT = Path(__file__).resolve().parent.parent
CORPORA = ROOT.parent / "shared" / "corpora"
MARKED_FOLDERS = ("live", "faults")

# No time limit for one example: on a busy machine it would measure the neighbours. CI tries fixed examples.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
# Of `bin/test --fast`: a look at each property, which the whole suite goes through.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=25)
hypothesis.settings.load_profile("ci" if system.in_ci() else "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in tests/live and tests/faults, so that no file has to.

    Where tests run in several processes, the faults run one after the other: each wants a core for itself.
    """
    tests = ROOT / "tests"
    for item in items:
        folder = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
        if folder in MARKED_FOLDERS:
            item.add_marker(folder)
        if folder == "faults":
            item.add_marker(pytest.mark.xdist_group("faults"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test marked `needs(command, ...)` where one of these programs is missing."""
    for mark in item.iter_markers("needs"):
        system.require(*mark.args)


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a coroutine to its end on uvloop: `run(scenario())`, or `run(scenario(), deadline_s=60)`."""
    return run_to_end


@pytest.fixture
def free_port() -> int:
    """A loopback port; where one test needs several, it calls `tests.servers.free_port`."""
    return find_free_port()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A redis-server that the whole session shares: choose key names of your own, and do not stop it."""
    system.require("redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that the whole session shares: do not stop it."""
    system.require("postgres", "initdb")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> PostgresServer:
    """That server, without a table in its schema `public`."""
    postgres_server.ask("DROP SCHEMA public CASCADE")
    postgres_server.ask("CREATE SCHEMA public")
    postgres_server.ask("GRANT USAGE ON SCHEMA public TO public")
    return postgres_server


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of payloads that others wrote, which lies beside the checkout."""
    if not CORPORA.is_dir():
        system.leave_out(f"no payloads in {CORPORA}")
    return CORPORA
