"""Who may become a client of a WebSocket: the page it comes from, and a proof of who it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, model_validator

from actors.connections.http_exchange import Exchange
from actors.connections.http_table import Refusal
from actors.connections.websocket_handshake import Answer, answer
from actors.core.spec import Options
from actors.kit import signatures
from actors.kit.credentials import Secrets
from actors.kit.secrets import Secret

MOST_PARAMETERS: Final = 100
"""Of a query."""


class Auth(Options):
    """One proof of who a client is, looked at before the upgrade."""

    bearer: Secrets | None = None
    """`Authorization: Bearer …` with this token, or one of these."""
    query: str | None = Field(None, min_length=1, examples=["token"])
    """A query parameter that may carry the token of `bearer` too: browsers cannot send headers with an upgrade.
    Other programs on the way may write addresses into their logs, and the token with them."""
    basic: Annotated[dict[str, Secret], Field(min_length=1)] | None = None
    """`Authorization: Basic …` with one of these users and that user's password."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError("give one of bearer and basic")
        if self.query is not None and self.bearer is None:
            raise ValueError("query carries a token, and there is none without bearer")
        for secret in (*self._tokens(), *(self.basic or {}).values()):
            if not secret.reveal():
                raise ValueError("the secret is empty")
        return self

    def _tokens(self) -> tuple[Secret, ...]:
        given = self.bearer
        return given if isinstance(given, tuple) else (given,) if given is not None else ()

    def user(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """The name of a client that has proven itself, which is empty where a token has none; else None."""
        authorization = headers.get("authorization")
        if self.basic is not None:
            users = {name: password.reveal() for name, password in self.basic.items()}
            return signatures.verify_basic(users, authorization)
        if authorization is None and self.query is not None and (token := query.get(self.query)) is not None:
            authorization = f"Bearer {token}"
        tokens = [token.reveal() for token in self._tokens()]
        return "" if signatures.verify_bearer(tokens, authorization) else None

    @property
    def challenge(self) -> str:
        """What `WWW-Authenticate` says beside a 401."""
        return "Bearer" if self.bearer is not None else 'Basic realm="pointsman", charset="UTF-8"'


def _checked(origin: str) -> str:
    parts = urlsplit(origin)
    if origin not in ("*", "null") and (not parts.scheme or not parts.netloc or parts.path):
        raise ValueError(f"an origin is a scheme and a host, such as https://app.example, not {origin!r}")
    return origin.lower()


Origin = Annotated[str, AfterValidator(_checked)]
"""What a browser says of the page that it shows (RFC 6454): `https://app.example`; `*` stands for any."""


def comes_from(headers: Mapping[str, str], origins: Collection[str]) -> bool:
    """Whether a client comes from one of these pages, or from one of the host that it asks.

    Any page may open a WebSocket to anywhere, and it is for the server to look where it comes from. What is no
    browser sends no Origin, and may come.
    """
    origin = headers.get("origin")
    if origin is None or "*" in origins or origin.lower() in origins:
        return True
    try:
        host = urlsplit(origin.lower()).netloc
    except ValueError:
        return False
    return bool(host) and host == headers.get("host", "").lower()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may go over to WebSocket."""

    answer: Answer
    """The headers of the 101."""
    user: str
    """Who it is, empty where nobody knows."""
    query: Mapping[str, str]
    """Its parameters, apart from the token; the last one of a name."""


def admitted(
    exchange: Exchange, *, auth: Auth | None, origins: Collection[str], subprotocols: Sequence[str]
) -> Admitted | Refusal:
    """Whether a request may go over, looked at in this order: what it asks for, where it comes from, who it is."""
    handshake = answer(exchange.headers, subprotocols)
    if isinstance(handshake, Refusal):
        return handshake
    if not comes_from(exchange.headers, origins):
        return Refusal(403, "pages of this origin may not connect")
    try:
        query = dict(parse_qsl(exchange.query, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS))
    except ValueError:
        return Refusal(400, "the query cannot be read")
    if auth is None:
        return Admitted(handshake, "", query)
    user = auth.user(exchange.headers, query)
    if user is None:
        return Refusal(401, "no valid proof of who this is", (("WWW-Authenticate", auth.challenge),))
    if auth.query is not None:
        query.pop(auth.query, None)
    return Admitted(handshake, user, query)
