"""Who may send: exactly one proof, and nothing that a stranger sends raises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.kit import signatures
from actors.kit.credentials import Verify

BODY = b'{"order": 7}'
NOW_S = 1_700_000_000.0

OPTIONS: tuple[dict[str, Any], ...] = (
    {"bearer": "token"},
    {"basic": {"ann": "pw"}},
    {"hmac": {"secret": "s", "header": "X-Signature"}},
    {"hmac": {"secret": "s", "header": "X-Signature", "encoding": "base64", "prefix": "v1,"}},
    {"hmac": {"secret": "s", "header": "X-Signature", "timestamp": {"header": "X-Time"}}},
)


@pytest.mark.parametrize("options", OPTIONS)
@given(
    headers=st.dictionaries(st.sampled_from(["authorization", "x-signature", "x-time"]), st.text()),
    body=st.binary(),
)
def test_noise_proves_nothing(options: dict[str, Any], headers: dict[str, str], body: bytes) -> None:
    """And is no exception either."""
    assert not Verify.model_validate(options).proves(headers, body, NOW_S)


def test_a_signature_may_be_base64_behind_any_prefix() -> None:
    """As each sender has it."""
    verify = Verify.model_validate(OPTIONS[3])
    signature = signatures.sign_hmac(b"s", BODY, encoding="base64")
    assert verify.proves({"x-signature": f"v1,{signature}"}, BODY, NOW_S)
    assert not verify.proves({"x-signature": f"v2,{signature}"}, BODY, NOW_S)


@pytest.mark.parametrize("options", OPTIONS)
def test_secrets_are_never_shown(options: dict[str, Any]) -> None:
    """Not in the repr, not in a dump, and not in an error about something else."""
    verify = Verify.model_validate(options)
    for shown in (repr(verify), str(verify.model_dump(mode="json")), verify.challenge):
        assert "'s'" not in shown
        assert "token" not in shown
        assert "'pw'" not in shown
    with pytest.raises(ValidationError) as error:
        Verify.model_validate({**options, "bearer": "secret-token", "basic": {"ann": "secret-password"}})
    assert "secret-token" not in str(error.value.errors(include_input=False, include_context=False))


@pytest.mark.parametrize(
    ("options", "headers"),
    [(OPTIONS[0], {"authorization"}), (OPTIONS[2], {"authorization", "x-signature"})],
)
def test_headers_that_carry_a_proof_are_known(options: dict[str, Any], headers: set[str]) -> None:
    """So that they are not handed on."""
    assert Verify.model_validate(options).headers == headers
