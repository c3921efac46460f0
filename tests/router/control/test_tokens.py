"""Whose token it is."""

from __future__ import annotations

import pytest

from actors.kit.secrets import Secret
from router.control.problem import ForbiddenError, UnauthorizedError
from router.control.roles import Caller
from router.control.tokens import Tokens
from router.topology.settings import ROLES, Role

TOKENS = Tokens([("anna", "operator", Secret("0123456789abcdef")), ("viewer", "viewer", Secret("fedcba9876543210"))])


def test_a_token_stands_for_its_name_and_its_role() -> None:
    """The scheme in any case (RFC 9110, 11.1), and the address is told with it."""
    for header in ("Bearer 0123456789abcdef", "bearer  0123456789abcdef "):
        assert TOKENS.caller(header, address="10.0.0.7") == Caller("anna", "operator", "10.0.0.7")
    assert TOKENS.caller("Bearer fedcba9876543210", address="::1") == Caller("viewer", "viewer", "::1")


def test_without_one_somebody_has_no_role() -> None:
    """Which is enough for some paths."""
    assert TOKENS.caller(None, address="10.0.0.7") == Caller("", None, "10.0.0.7")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "0123456789abcdef",
        "Basic 0123456789abcdef",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdef0",
        "Bearer 0123456789ABCDEF",
        "Bearer \udcff\udcfe",
        "Bearer " + "x" * 100_000,
    ],
)
def test_what_is_no_token_of_ours_is_nobody_s(header: str) -> None:
    """Also what is none at all; the answer is the same for each, and repeats nothing of it."""
    with pytest.raises(UnauthorizedError, match=r"^this token is not known here$"):
        TOKENS.caller(header, address="10.0.0.7")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("needed", ROLES)
def test_a_role_may_what_those_before_it_may(role: Role, needed: Role) -> None:
    """viewer, operator, admin; and what needs none is to everybody."""
    caller = Caller("anna", role, "10.0.0.7")
    caller.must_be(None)
    Caller("", None, "").must_be(None)
    if ROLES.index(role) >= ROLES.index(needed):
        caller.must_be(needed)
    else:
        with pytest.raises(ForbiddenError):
            caller.must_be(needed)
    with pytest.raises(UnauthorizedError):
        Caller("", None, "").must_be(needed)
