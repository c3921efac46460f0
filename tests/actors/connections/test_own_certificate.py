"""Until when a certificate of our own is valid."""

import ssl
import time
from pathlib import Path

import pytest

from actors.connections.own_certificate import valid_until
from tests.certificates import expired, self_signed


def test_the_end_is_what_the_certificate_says(tmp_path: Path) -> None:
    """Whoever signed it: here it has done so itself."""
    assert valid_until(*self_signed(tmp_path)) == pytest.approx(time.time() + 2 * 86400, abs=60)


def test_one_that_has_expired_is_refused(tmp_path: Path) -> None:
    """As every client would."""
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        valid_until(*expired(tmp_path))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    """And so are files that are none."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    cert, key = self_signed(tmp_path / "a")
    _, other = self_signed(tmp_path / "b")
    with pytest.raises(ssl.SSLError, match=r"(?i)mismatch"):
        valid_until(cert, other)
    with pytest.raises(FileNotFoundError):
        valid_until(tmp_path / "none", key)
    (tmp_path / "text").write_text("not PEM")
    with pytest.raises(ssl.SSLError):
        valid_until(tmp_path / "text", key)
