"""What an answer means for the attempt, as a pure function of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.http_outcomes import LONGEST_RETRY_AFTER_S, failure, retry_after

NOW_S = 1_700_000_000.0


@given(st.integers(200, 299))
def test_success_is_no_failure(status: int) -> None:
    """All of 2xx."""
    assert failure(status, {}, b"", where="it", now_s=NOW_S) is None


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (301, "refused", False),
        (400, "refused", False),
        (401, "refused", False),
        (403, "refused", False),
        (404, "refused", False),
        (408, "overload", True),
        (409, "refused", True),
        (410, "refused", False),
        (422, "refused", False),
        (423, "overload", True),
        (425, "overload", True),
        (429, "overload", True),
        (500, "refused", True),
        (501, "refused", False),
        (502, "refused", True),
        (503, "overload", True),
        (504, "refused", True),
        (505, "refused", False),
        (599, "refused", True),
    ],
)
def test_each_status_has_its_class(status: int, reason: str, retryable: bool) -> None:
    """Overload waits, what may pass is tried again, and what no repetition changes goes to the fallback."""
    error = failure(status, {"Retry-After": "7"}, None, where="it", now_s=NOW_S)
    assert error is not None
    assert (error.reason, error.retryable) == (reason, retryable)
    assert error.retry_after_s == (7 if retryable else None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("9999999999999", LONGEST_RETRY_AFTER_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER_S),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """A day at most, never in the past, and nothing where it cannot be read."""
    assert retry_after(value, now_s=NOW_S) == seconds


@given(st.text())
def test_no_retry_after_is_ever_a_crash(value: str) -> None:
    """A server sends what it likes."""
    seconds = retry_after(value, now_s=NOW_S)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER_S


def test_the_error_shows_the_beginning_of_the_answer() -> None:
    """In one printable line, so that a reader of the log knows what was wrong."""
    body = b'{\n  "error": "no such order\x1b[2J"\n}' + b"x" * 1000
    error = failure(422, {}, body, where="POST https://h/x", now_s=NOW_S)
    assert error is not None
    text = str(error)
    assert text.startswith('POST https://h/x answered 422: { "error": "no such order?[2J" }')
    assert text.isprintable()
    assert len(text) < 260


def test_a_redirect_names_where_it_leads() -> None:
    """It is not followed: a target would choose the host."""
    error = failure(307, {"Location": "https://elsewhere/"}, None, where="it", now_s=NOW_S)
    assert "https://elsewhere/" in str(error)
