"""The `verify` option of sources that strangers can reach: who may send, and how that is proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actors.kit import signatures
from actors.kit.secrets import Secret
from actors.kit.units import Between, Duration

Secrets = Secret | Annotated[tuple[Secret, ...], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Timestamp(_Part):
    """A time that is signed together with the body, so that an old request cannot be sent again."""

    header: str = Field(min_length=1)
    """The header that carries it, in epoch seconds."""
    tolerance: Annotated[Duration, Between("1s", "1d")] = Duration("5m")
    """How far from now it may be, in the past or in the future."""


class Hmac(_Part):
    """A signature over the raw body: HMAC under a secret that the sender shares."""

    secret: Secrets
    """The shared secret; several while one replaces another."""
    header: str = Field(min_length=1, examples=["X-Hub-Signature-256"])
    """The header that carries the signature."""
    algorithm: signatures.Algorithm = "sha256"
    """The hash function; SHA-1 is not offered."""
    prefix: str = "sha256="
    """What stands before the signature in the header."""
    encoding: signatures.Encoding = "hex"
    """How the signature is written."""
    timestamp: Timestamp | None = None
    """Where given, what is signed is the timestamp, a dot and the body."""

    def proves(self, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
        given = headers.get(self.header.lower())
        if given is None:
            return False
        secrets = _bytes(self.secret)
        if self.timestamp is None:
            return signatures.verify_hmac(
                secrets, body, given, prefix=self.prefix, encoding=self.encoding, algorithm=self.algorithm
            )
        return signatures.verify_timestamped_hmac(
            secrets,
            body,
            given,
            headers.get(self.timestamp.header.lower(), ""),
            now_s=now_s,
            tolerance_s=self.timestamp.tolerance,
            prefix=self.prefix,
            encoding=self.encoding,
            algorithm=self.algorithm,
        )


class Verify(_Part):
    """Exactly one proof that a request comes from whom it says; it is checked before anything is parsed."""

    bearer: Secrets | None = None
    """`Authorization: Bearer …` with this token, or one of these."""
    basic: Annotated[dict[str, Secret], Field(min_length=1)] | None = None
    """`Authorization: Basic …` with one of these users and that user's password."""
    hmac: Hmac | None = None
    """A signature over the raw body."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("bearer", "basic", "hmac") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give one of bearer, basic and hmac")
        for secret in self._secrets():
            if not secret.reveal():
                raise ValueError("the secret is empty")
        return self

    def _secrets(self) -> tuple[Secret, ...]:
        if self.basic is not None:
            return tuple(self.basic.values())
        given = self.bearer if self.hmac is None else self.hmac.secret
        return given if isinstance(given, tuple) else (given,) if given is not None else ()

    def proves(self, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
        """Whether a request with these headers, named in lower case, may be let in.

        In constant time, and never raising on what a stranger sent.
        """
        authorization = headers.get("authorization")
        if self.hmac is not None:
            return self.hmac.proves(headers, body, now_s)
        if self.basic is not None:
            users = {name: password.reveal() for name, password in self.basic.items()}
            return signatures.verify_basic(users, authorization) is not None
        return signatures.verify_bearer([token.reveal() for token in self._secrets()], authorization)

    @property
    def challenge(self) -> str:
        """What `WWW-Authenticate` says beside a 401, which must not be without it (RFC 9110, 11.6.1)."""
        if self.hmac is not None:
            return f'Signature header="{self.hmac.header}", algorithm="hmac-{self.hmac.algorithm}"'
        return "Bearer" if self.bearer is not None else 'Basic realm="pointsman", charset="UTF-8"'

    @property
    def headers(self) -> frozenset[str]:
        """The headers that carry a proof, in lower case: they are not handed on."""
        return frozenset({"authorization", self.hmac.header.lower()} if self.hmac else {"authorization"})


def _bytes(secrets: Secret | tuple[Secret, ...]) -> list[bytes]:
    given = secrets if isinstance(secrets, tuple) else (secrets,)
    return [secret.reveal_bytes() for secret in given]
