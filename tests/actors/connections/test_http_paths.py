"""Paths with parameters: which requests they take, who goes first, and what no value can be."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.http_exchange import Exchange
from actors.connections.http_paths import PathPattern
from actors.connections.http_table import Entry, PathTable, PathTakenError, Refusal


def handler(exchange: Exchange) -> None:
    exchange.respond(200)


def table(*paths: str) -> PathTable:
    made = PathTable()
    for path in paths:
        made.add(["GET"], path, handler, max_body=0)
    return made


def found(paths: PathTable, target: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The names and values of the entry that a request meets."""
    entry = paths.find("GET", target, "x")
    assert isinstance(entry, Entry), entry
    return entry.names, dict(entry.parameters)


def test_a_parameter_stands_for_one_whole_segment() -> None:
    """Its value is decoded; the query is none of its business."""
    paths = table("/ws/folder/{folder_id}/{kind}")
    assert found(paths, "/ws/folder/17/scan?x=/y")[1] == {"folder_id": "17", "kind": "scan"}
    assert found(paths, "/ws/folder/a%20b/%C3%B1")[1] == {"folder_id": "a b", "kind": "ñ"}


@pytest.mark.parametrize(
    "target",
    [
        "/ws",
        "/ws/",
        "/ws/a/",
        "/ws/a/b",
        "/ws//",
        "/ws/.",
        "/ws/..",
        "/ws/%2e%2E",
        "/ws/a%2Fb",
        "/ws/a%00b",
        "/ws/%0a",
        "/ws/%ff",
        "/WS/a",
    ],
)
def test_what_is_no_value_is_not_found(target: str) -> None:
    """Nobody gets by it to another place than the path says."""
    refusal = table("/ws/{room}").find("GET", target, "x")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 404


def test_an_exact_path_goes_first_and_then_the_earlier_literal() -> None:
    """Whatever the order in which they were added."""
    for paths in (table("/{a}/{b}", "/{c}/x", "/x/{d}", "/x/x"), table("/x/x", "/x/{d}", "/{c}/x", "/{a}/{b}")):
        assert found(paths, "/x/x")[0] == ()
        assert found(paths, "/x/y") == (("d",), {"d": "y"})
        assert found(paths, "/y/x") == (("c",), {"c": "y"})
        assert found(paths, "/y/y") == (("a", "b"), {"a": "y", "b": "y"})


def test_two_of_one_shape_are_the_same_path() -> None:
    """Whatever their parameters are called; each method keeps the names of its own."""
    paths = table("/ws/{room}")
    with pytest.raises(PathTakenError):
        paths.add(["GET"], "/ws/{other}", handler, max_body=0)
    paths.add(["POST"], "/ws/{other}", handler, max_body=0)
    entry = paths.find("POST", "/ws/a", "x")
    assert isinstance(entry, Entry)
    assert entry.parameters == {"other": "a"}
    assert found(paths, "/ws/a")[1] == {"room": "a"}
    refusal = paths.find("PUT", "/ws/a", "x")
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.headers) == (405, (("Allow", "GET, POST"),))


def test_one_that_is_removed_is_gone() -> None:
    """What `add` returned removes that handler alone, and doing so again is harmless."""
    paths = PathTable()
    remove = paths.add(["GET"], "/ws/{room}", handler, max_body=0)
    paths.add(["GET"], "/{any}/{thing}", handler, max_body=0)
    remove()
    remove()
    assert found(paths, "/ws/a")[0] == ("any", "thing")
    assert len(paths) == 1


@pytest.mark.parametrize("path", ["/a{b}", "/{a}b", "/{A}", "/{}", "/{a", "/a}", "/{a}/{a}", "/{1}"])
def test_braces_that_are_no_parameter_are_refused(path: str) -> None:
    """As are two parameters of one name."""
    with pytest.raises(ValueError, match="parameter"):
        PathPattern.parse(path)


@given(st.text(min_size=1, max_size=20))
def test_any_name_that_can_be_printed_is_a_value(value: str) -> None:
    """Percent-encoded, it comes back as it is; with a slash in it, or as a dot segment, it never comes."""
    entry = table("/ws/{room}").find("GET", f"/ws/{quote(value, safe='', errors='surrogatepass')}", "x")
    if "/" not in value and value.isprintable() and value not in (".", ".."):
        assert isinstance(entry, Entry)
        assert entry.parameters == {"room": value}
    else:
        assert isinstance(entry, Refusal)
