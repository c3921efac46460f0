"""Who answers a request is decided by its method, its target and its Host, byte for byte."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.http_exchange import Exchange
from actors.connections.http_table import LOOPBACK_NAMES, Entry, PathTable, PathTakenError, Refusal


def handler(exchange: Exchange) -> None:
    exchange.respond(200)


def other_handler(exchange: Exchange) -> None:
    exchange.respond(201)


def table(*paths: str, hosts: frozenset[str] | None = None) -> PathTable:
    made = PathTable(hosts)
    for path in paths:
        made.add(["POST"], path, handler, max_body=100)
    return made


def status(found: Entry | Refusal) -> int:
    return found.status if isinstance(found, Refusal) else 200


def test_a_path_is_found_whatever_its_query() -> None:
    """The query belongs to the request, not to the path."""
    found = table("/hook").find("POST", "/hook?a=/other", "x")
    assert isinstance(found, Entry)
    assert found.path == "/hook"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/hook/",
        "//hook",
        "/./hook",
        "/x/../hook",
        "/%68ook",
        "/hook%2f",
        "/Hook",
        "/hook;x",
        "/hook#x",
        "*",
    ],
)
def test_a_path_that_only_looks_alike_is_not_found(target: str) -> None:
    """Nothing is decoded, normalised or guessed, so that no trick leads past a check in front of the path."""
    assert status(table("/hook").find("POST", target, "x")) in (400, 404)


def test_a_method_that_nobody_takes_is_told_the_others() -> None:
    """405 names what is allowed, over all handlers of the path."""
    paths = table("/hook")
    paths.add(["PUT"], "/hook", other_handler, max_body=100)
    refusal = paths.find("GET", "/hook", "x")
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.headers) == (405, (("Allow", "POST, PUT"),))


def test_the_same_path_and_method_twice_is_refused() -> None:
    """The second one raises, and takes none of its methods."""
    paths = table("/hook")
    with pytest.raises(PathTakenError) as refused:
        paths.add(["PUT", "POST"], "/hook", other_handler, max_body=100)
    assert (refused.value.method, refused.value.path) == ("POST", "/hook")
    assert status(paths.find("PUT", "/hook", "x")) == 405


def test_a_removed_path_is_gone_and_may_be_added_again() -> None:
    """What `add` returned removes that handler alone, and doing so again is harmless."""
    paths = PathTable()
    remove = paths.add(["POST"], "/hook", handler, max_body=100)
    paths.add(["PUT"], "/hook", other_handler, max_body=100)
    remove()
    assert status(paths.find("POST", "/hook", "x")) == 405
    paths.add(["POST"], "/hook", other_handler, max_body=100)
    remove()
    found = paths.find("POST", "/hook", "x")
    assert isinstance(found, Entry)
    assert found.handler is other_handler


@pytest.mark.parametrize("path", ["hook", "", "/hook?x", "/hook#x"])
def test_what_is_no_path_is_refused(path: str) -> None:
    """A path that no request could ever have is a mistake of ours."""
    with pytest.raises(ValueError, match="not a path"):
        PathTable().add(["POST"], path, handler, max_body=100)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("LocalHost:8080", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("localhost:80@evil.example", 403),
        ("localhost:x", 403),
        ("127.0.0.1.", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_a_loopback_listener_answers_to_loopback_names_only(host: str | None, expected: int) -> None:
    """A page whose name was made to point to this machine sends that name as Host (DNS rebinding)."""
    assert status(table("/hook", hosts=LOOPBACK_NAMES).find("POST", "/hook", host)) == expected


def test_the_absolute_form_counts_with_its_own_authority() -> None:
    """RFC 9112, 3.2.2: the authority of the target replaces Host, for better and for worse."""
    paths = table("/hook", hosts=LOOPBACK_NAMES)
    assert status(paths.find("POST", "http://localhost:8080/hook?x", "evil.example")) == 200
    assert status(paths.find("POST", "http://evil.example/hook", "localhost")) == 403
    assert status(paths.find("POST", "http://localhost", "localhost")) == 404


@given(target=st.text(max_size=60), host=st.none() | st.text(max_size=30))
def test_any_target_and_any_host_get_an_answer(target: str, host: str | None) -> None:
    """Nothing that a stranger sends raises, and only the path itself is found."""
    paths = table("/hook", hosts=LOOPBACK_NAMES)
    find: Callable[[str, str, str | None], Entry | Refusal] = paths.find
    if isinstance(find("POST", target, host), Entry):
        assert target.partition("?")[0].endswith("/hook")


class TestReplacing:
    def test_one_entry_takes_the_place_of_another(self) -> None:
        """With the same path, other methods or another path; what is removed behind it is not the new one's."""
        made = PathTable()
        before = made.add(["POST", "PUT"], "/hook", handler, max_body=100)
        after = made.replace(before, ["PUT", "DELETE"], "/hook", other_handler, max_body=50)
        before()
        assert status(made.find("POST", "/hook", "x")) == 405
        found = made.find("PUT", "/hook", "x")
        assert isinstance(found, Entry)
        assert (found.handler, found.max_body) == (other_handler, 50)
        made.replace(after, ["PUT"], "/hook/{name}", handler, max_body=100)
        assert status(made.find("PUT", "/hook", "x")) == 404
        assert status(made.find("PUT", "/hook/ann", "x")) == 200

    @pytest.mark.parametrize("path", ["/other", "/{any}"])
    def test_where_a_third_one_has_the_path_nothing_is_changed(self, path: str) -> None:
        """So that what was there goes on."""
        made = PathTable()
        made.add(["POST"], path, other_handler, max_body=100)
        before = made.add(["POST"], "/hook", handler, max_body=100)
        with pytest.raises(PathTakenError):
            made.replace(before, ["POST"], path, handler, max_body=100)
        found = made.find("POST", "/hook", "x")
        assert isinstance(found, Entry)
        assert found.handler is handler
        before()
        assert len(made) == 1
