"""`router send` and `router ask`, against recorded answers."""

import io
from pathlib import Path
from typing import Any

import pytest

from tests.router.cli.conftest import Cli, Recorded

PATH = "/v1/actors/orders/messages"


@pytest.fixture
def orders(control: Recorded) -> Recorded:
    """An actor that accepts what comes."""
    control.answer("POST", PATH, {"id": "m-1", "status": "accepted"}, status=202)
    return control


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ("17", 17),
        ('"17"', "17"),
        ("true", True),
        ("hola", "hola"),
        ("{a: 1}", "{a: 1}"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_what_parses_as_json_is_json_and_all_else_is_text(orders: Recorded, cli: Cli, written: str, sent: Any) -> None:
    """By the rules of JSON, not by Python's."""
    assert cli("send", "orders", written).output == "m-1 accepted\n"
    assert orders.asked[-1].body == {"data": sent, "headers": {}, "wait": False}


def test_text_is_text_where_it_is_asked_for(orders: Recorded, cli: Cli) -> None:
    """Even where it looks like JSON."""
    cli("send", "orders", "17", "--text")
    assert orders.asked[-1].body["data"] == "17"


def test_without_data_there_is_none(orders: Recorded, cli: Cli) -> None:
    """Nothing is read from standard input unasked."""
    cli("send", "orders")
    assert orders.asked[-1].body["data"] is None


def test_data_comes_from_a_file_or_from_standard_input(
    orders: Recorded, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As curl has it: `@file` and `-`."""
    Path("order.json").write_text('{"a": 1}\n')
    cli("send", "orders", "@order.json")
    assert orders.asked[-1].body["data"] == {"a": 1}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"plain text")))
    cli("send", "orders", "-")
    assert orders.asked[-1].body["data"] == "plain text"


def test_a_file_that_is_missing_or_no_text_is_told(orders: Recorded, cli: Cli) -> None:
    """Nothing is sent."""
    Path("picture.png").write_bytes(b"\x89PNG\xff")
    assert "nowhere.json cannot be read: No such file" in cli("send", "orders", "@nowhere.json").errors
    ended = cli("send", "orders", "@picture.png")
    assert (ended.code, orders.asked) == (1, [])
    assert "picture.png is not UTF-8" in ended.errors


def test_options_become_the_message_s_attributes(orders: Recorded, cli: Cli) -> None:
    """Headers keep what stands behind their first equals sign."""
    options = ["--header", "x-a=1=2", "-H", "x-b= 3", "--id", "i", "--key", "k", "--type", "t", "--subject", "s"]
    cli("send", "orders", "{}", *options)
    assert orders.asked[-1].body == {
        "data": {},
        "headers": {"x-a": "1=2", "x-b": "3"},
        "id": "i",
        "key": "k",
        "type": "t",
        "subject": "s",
        "wait": False,
    }


def test_ask_prints_the_reply_alone_on_standard_output(orders: Recorded, cli: Cli) -> None:
    """So that the next program can read it; how it ended is for people."""
    reply = {"data": {"ok": True}, "status": 201, "headers": {}}
    orders.answer("POST", PATH, {"id": "m-1", "outcome": "delivered", "reply": reply})
    ended = cli("ask", "orders", "{}", "--timeout", "250ms")
    assert (ended.code, ended.json) == (0, {"ok": True})
    assert ended.errors == "m-1 delivered, answered with status 201\n"
    assert orders.asked[-1].body == {"data": {}, "headers": {}, "wait": True, "timeout_s": 0.25}
    assert cli("ask", "orders", "{}", "--json").json["reply"] == reply
    assert orders.asked[-1].body["timeout_s"] == 10.0


def test_a_reply_of_text_is_printed_as_it_is(orders: Recorded, cli: Cli) -> None:
    """Without quotes, and where nobody's terminal is in danger without escapes."""
    reply = {"data": "two\nlines", "status": 200}
    orders.answer("POST", PATH, {"id": "m-1", "outcome": "delivered", "reply": reply})
    assert cli("ask", "orders").output == "two\nlines\n"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("delivered", 0), ("filtered", 0), ("deduplicated", 0), ("dead_lettered", 1), ("expired", 1), ("dropped", 1)],
)
def test_the_exit_code_says_whether_it_ended_well(orders: Recorded, cli: Cli, outcome: str, code: int) -> None:
    """A message that the topology filters has ended as it should."""
    answer = {"id": "m-1", "outcome": outcome, "reason": "full", "reply": None}
    orders.answer("POST", PATH, answer)
    for arguments in (["ask", "orders", "{}"], ["ask", "orders", "{}", "--json"], ["send", "orders", "{}"]):
        assert cli(*arguments).code == code
    assert cli("ask", "orders").errors == f"m-1 {outcome.replace('_', ' ')}: full\n"


def test_a_refusal_is_the_router_s_word(orders: Recorded, cli: Cli) -> None:
    """Its problem document, in one line."""
    orders.answer("POST", PATH, {"title": "Service Unavailable", "status": 503, "detail": "route r is full"}, 503)
    ended = cli("send", "orders", "{}")
    assert (ended.code, ended.output, ended.errors) == (1, "", "error: route r is full\n")
