"""What the server's error codes mean for a delivery."""

import pytest

from actors.connections.postgres.failures import meaning


@pytest.mark.parametrize(
    ("code", "blame", "reason", "retryable"),
    [
        ("08006", "connection", "connect", True),
        ("57P01", "connection", "connect", True),
        ("28P01", "connection", "connect", True),
        ("53100", "server", "overload", True),
        ("53300", "connection", "overload", True),
        ("57014", "server", "overload", True),
        ("40001", "server", "refused", True),
        ("40P01", "server", "refused", True),
        ("25006", "server", "refused", True),
        ("23505", "row", "refused", False),
        ("23503", "row", "refused", True),
        ("22P02", "row", "refused", False),
        ("54000", "row", "refused", False),
        ("42P01", "table", "refused", True),
        ("42501", "table", "refused", True),
        ("XX000", "server", "refused", True),
        (None, "connection", "connect", True),
    ],
)
def test_a_code_says_whose_fault_it_is(code: str | None, blame: str, reason: str, retryable: bool) -> None:
    """And whether the same row may go in later."""
    assert meaning(code) == (blame, reason, retryable)
