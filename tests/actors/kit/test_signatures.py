"""Who may come in."""

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kit.signatures import (
    Algorithm,
    Encoding,
    same,
    sign_hmac,
    sign_timestamped_hmac,
    verify_basic,
    verify_bearer,
    verify_hmac,
    verify_timestamped_hmac,
)

SECRET = b"shared"
BODY = b'{"text": "\\u00f1"}'

keys = st.binary(min_size=1, max_size=64)


def test_the_signature_is_the_one_of_the_standard() -> None:
    """RFC 4231, test case 2."""
    signature = sign_hmac(b"Jefe", b"what do ya want for nothing?")
    assert signature == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@given(keys, st.binary(), st.sampled_from(["sha256", "sha384", "sha512"]), st.sampled_from(["hex", "base64"]))
def test_what_is_signed_verifies(secret: bytes, body: bytes, algorithm: Algorithm, encoding: Encoding) -> None:
    signature = sign_hmac(secret, body, algorithm, encoding=encoding)
    assert verify_hmac([b"other", secret], body, "v=" + signature, prefix="v=", encoding=encoding, algorithm=algorithm)


@given(keys, keys, st.binary())
def test_another_secret_does_not_verify(secret: bytes, other: bytes, body: bytes) -> None:
    """HMAC pads its keys with zero bytes, so these are no difference."""
    same_key = secret.rstrip(b"\0") == other.rstrip(b"\0")
    assert verify_hmac([other], body, "sha256=" + sign_hmac(secret, body)) is same_key


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_flipped_bit_does_not_verify(body: bytes, data: st.DataObject) -> None:
    signature = "sha256=" + sign_hmac(SECRET, body)
    position = data.draw(st.integers(0, len(body) * 8 - 1))
    forged = bytearray(body)
    forged[position // 8] ^= 1 << position % 8
    assert not verify_hmac([SECRET], bytes(forged), signature)


@given(st.text())
def test_no_text_of_a_stranger_verifies_or_raises(given_text: str) -> None:
    assert not verify_hmac([SECRET], BODY, given_text)
    assert not verify_hmac([SECRET], BODY, "sha256=" + given_text)
    assert not verify_timestamped_hmac([SECRET], BODY, given_text, given_text, now_s=0)
    assert not verify_bearer(["token"], given_text)
    assert not verify_bearer(["token"], "Bearer " + given_text + "x")
    assert verify_basic({"me": "hush"}, given_text) is None
    assert verify_basic({"me": "hush"}, "Basic " + given_text) is None


def test_hex_is_accepted_in_either_case() -> None:
    assert verify_hmac([SECRET], BODY, "sha256=" + sign_hmac(SECRET, BODY).upper())


def test_a_signature_without_its_prefix_is_refused() -> None:
    assert not verify_hmac([SECRET], BODY, sign_hmac(SECRET, BODY))
    assert verify_hmac([SECRET], BODY, sign_hmac(SECRET, BODY), prefix="")


def test_sha1_is_refused() -> None:
    old = hmac.new(SECRET, BODY, hashlib.sha1).hexdigest()
    assert not verify_hmac([SECRET], BODY, "sha1=" + old)
    assert not verify_hmac([SECRET], BODY, "sha256=" + old)


def test_json_written_anew_is_refused() -> None:
    """A signature is over the bytes as they came, escapes included."""
    assert not verify_hmac([SECRET], '{"text": "ñ"}'.encode(), "sha256=" + sign_hmac(SECRET, BODY))


@pytest.mark.parametrize("secrets", [[], [b""]])
def test_without_a_secret_nothing_verifies(secrets: list[bytes]) -> None:
    assert not verify_hmac(secrets, BODY, "sha256=" + sign_hmac(b"", BODY))


def test_a_timestamp_is_signed_with_the_body() -> None:
    signature = "sha256=" + sign_timestamped_hmac(SECRET, BODY, "1000")
    assert signature == "sha256=" + sign_hmac(SECRET, b"1000." + BODY)
    assert verify_timestamped_hmac([SECRET], BODY, signature, "1000", now_s=1000)
    assert not verify_timestamped_hmac([SECRET], BODY, signature, "1001", now_s=1000)


@pytest.mark.parametrize(("now_s", "valid"), [(1000, True), (1300, True), (1300.5, False), (700, True), (699, False)])
def test_stale_and_future_timestamps_are_refused(now_s: float, valid: bool) -> None:
    signature = "sha256=" + sign_timestamped_hmac(SECRET, BODY, "1000")
    assert verify_timestamped_hmac([SECRET], BODY, signature, "1000", now_s=now_s, tolerance_s=300) is valid


@pytest.mark.parametrize("timestamp", ["", "1e3", " 1000", "+1000", "1000.0", "١٠٠٠", "-1", "9" * 50])
def test_a_timestamp_is_plain_digits(timestamp: str) -> None:
    signature = "sha256=" + sign_hmac(SECRET, timestamp.encode() + b"." + BODY)
    assert not verify_timestamped_hmac([SECRET], BODY, signature, timestamp, now_s=1000)


def test_one_of_several_bearer_tokens_is_enough() -> None:
    assert verify_bearer(["old", "new"], "Bearer old")
    assert verify_bearer(["old", "new"], "bearer new ")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer other", "Basic new", "new", "Bearer new x"])
def test_other_authorizations_are_refused(header: str | None) -> None:
    assert not verify_bearer(["old", "new", ""], header)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_basic_credentials_name_their_user() -> None:
    users = {"ana": "1:2", "bo": "ñ"}
    assert verify_basic(users, basic("ana:1:2")) == "ana"
    assert verify_basic(users, basic("bo:ñ")) == "bo"


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Basic", "Basic ñ", "Basic !!!", "Basic /w==", "Bearer " + basic("ana:1")[6:]),
        *map(basic, ("ana", "ana:", "ana:bo", "eve:1", "empty:", ":")),
    ],
)
def test_wrong_basic_credentials_are_refused(header: str | None) -> None:
    assert verify_basic({"ana": "1", "bo": "bo", "empty": ""}, header) is None


@given(st.text(), st.text())
def test_secrets_are_the_same_where_they_are_equal(one: str, other: str) -> None:
    assert same(one, other) is (one == other)


@pytest.mark.parametrize("verify", [lambda: same("a", "b" * 10_000), lambda: verify_bearer([], "Bearer x")])
def test_a_difference_in_length_is_only_a_difference(verify: Callable[[], bool]) -> None:
    assert not verify()
