"""What a load test is told by the receiver of its messages."""

import pytest

from router.cli.load_http import detail
from tests.router.cli.conftest import Cli
from tests.servers import free_port


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"title": "Service Unavailable", "detail": "route r is paused"}', "route r is paused"),
        (b'{"title": "Service Unavailable"}', ""),
        (b"[1]", ""),
        (b"no", ""),
    ],
)
def test_problem_details_say_why(body: bytes, why: str) -> None:
    assert detail(body) == why


def test_nobody_there_is_told_in_words(cli: Cli) -> None:
    """As a route that posts there would."""
    port = free_port()
    ended = cli("load", "--url", f"http://127.0.0.1:{port}/x", "--messages", "2")
    assert ended.code == 1
    assert f"not acknowledged: 2: no connection to 127.0.0.1:{port}: Connection refused" in ended.output
