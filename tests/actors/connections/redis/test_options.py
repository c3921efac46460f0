"""The options of a Redis connection."""

import pytest
from pydantic import ValidationError

from actors.connections.redis.options import RedisConnectionOptions, Server, parse_url


def options(**told: object) -> RedisConnectionOptions:
    return RedisConnectionOptions.model_validate(told)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://here", Server("here", 6379, None, False, 0, None, None)),
        ("redis://here:7000/3", Server("here", 7000, None, False, 3, None, None)),
        ("rediss://joe:p%40ss@here/1", Server("here", 6379, None, True, 1, "joe", "p@ss")),
        ("redis://:secret@[::1]:7000", Server("::1", 7000, None, False, 0, None, "secret")),
        ("unix:///run/redis.sock?db=2", Server("", 0, "/run/redis.sock", False, 2, None, None)),
    ],
)
def test_a_url_says_where_redis_is(url: str, server: Server) -> None:
    assert parse_url(url) == server


@pytest.mark.parametrize(
    "url", ["here:6379", "http://here", "redis://", "redis://here/one", "redis://here?x=1", "unix://", "redis://here:x"]
)
def test_what_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        options(url=url)


def test_a_server_shows_no_user() -> None:
    assert str(parse_url("rediss://joe:secret@here:7000/1")) == "rediss://here:7000"
    assert str(parse_url("redis://[::1]")) == "redis://[::1]:6379"


def test_user_and_password_of_the_options_come_before_those_of_the_url() -> None:
    assert options(url="redis://joe:one@here").login == ("joe", "one")
    assert options(url="redis://joe:one@here", username="ann", password="two").login == ("ann", "two")
    assert options(url="redis://here", password="two").login == (None, "two")


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ({"url": "redis://here", "tls": {}}, "not rediss"),
        ({"url": "rediss://here", "tls": {"key": "k.pem"}}, "belongs to a 'cert'"),
        ({"url": "redis://here", "username": "joe"}, "belongs to a 'password'"),
    ],
)
def test_options_that_do_not_go_together_are_problems(told: dict[str, object], part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        options(**told)
