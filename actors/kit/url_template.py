"""A URL that a message may complete, but not redirect: what it renders cannot leave its place in the URL."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from urllib.parse import quote, urlsplit

from pydantic_core import PydanticCustomError

from actors.core.errors import DeliveryError
from actors.kit.expressions import MistakeError, Template
from actors.kit.expressions.sourced import Sourced
from actors.kit.expressions.template import pieces

if TYPE_CHECKING:
    from actors.core.message import Message

SCHEMES: Final = ("http", "https")
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_ORIGIN: Final = re.compile(r"(https?)://([^/?#\\\s@]+)(?=[/?]|$)", re.IGNORECASE)
_SENDABLE: Final = re.compile(r"[!-~]+")
_DOTS: Final = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)


class UrlTemplate(Sourced):
    """`https://host/orders/{{ data.id }}?note={{ data.note }}`, over HTTP or HTTPS.

    What a message puts into the path or the query is percent-encoded whole, slashes included. Where scheme and
    host are constant, `origin` is both; else it is None, the message decides, and `render` wants the hosts
    that it may choose from. Made with a mistake in it, it raises ValueError (MistakeError in an expression).
    """

    __slots__ = ("_parts", "is_constant", "origin")

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "format": "jinja2-template",
        "examples": ["https://host/orders/{{ data.id }}"],
    }

    source: str
    """As the topology has it."""
    origin: str | None
    """Scheme, host and port, where no message decides them."""
    is_constant: bool

    def __init__(self, source: str) -> None:
        template = Template(source)
        self.source = source
        self.is_constant = template.is_constant
        self._parts: tuple[str | Template, ...] = (source,) if self.is_constant else tuple(pieces(source, _no_blocks))
        first = self._parts[0]
        found = _ORIGIN.match(first) if isinstance(first, str) else None
        if found is not None and found.end() == len(found.string) and not self.is_constant:
            found = None  # what follows belongs to the host, whatever it is
        self.origin = None if found is None else found[0]
        if self.is_constant and found is None:
            raise ValueError("expected a URL such as https://host/path (credentials go into auth)")
        if any("#" in part for part in self._parts if isinstance(part, str)):
            raise ValueError("a URL to send to has no fragment (#…)")
        if self.is_constant:
            _check_sendable(source, ValueError)
        if self.address is not None and not self.address[0]:
            raise ValueError("the URL has no host")

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, where no message decides them."""
        if self.origin is None:
            return None
        split = urlsplit(self.origin)
        return split.hostname or "", split.port or DEFAULT_PORTS[split.scheme]

    def render(self, message: Message, now_s: float, *, allow_hosts: Collection[str] = ()) -> str:
        """The URL for a message.

        `allow_hosts` names hosts (for their scheme's usual port) and `host:port`. Raises ExpressionError where an
        expression fails, and a DeliveryError that no retry can change where the URL leads elsewhere.
        """
        if self.is_constant:
            return self.source
        rendered = "".join(self._rendered(message, now_s))
        _check_sendable(rendered, _refusal)
        if self.origin is None:
            _check_host(rendered, allow_hosts)
        elif not rendered.startswith(self.origin):  # never: the parts behind the origin are encoded
            raise _refusal("the URL leads to another host")
        return rendered

    def _rendered(self, message: Message, now_s: float) -> list[str]:
        parts: list[str] = []
        for part in self._parts:
            if isinstance(part, str):
                parts.append(part)
                continue
            text = part.render_text(message, now_s)
            if self.origin is not None or _is_behind_host("".join(parts)):
                if not text:
                    raise _refusal(f"the URL has an empty part where {part.source} stands")
                text = quote(text, safe="")
            parts.append(text)
        return parts

    @classmethod
    def _validated(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("url", "expected a URL such as https://host/path")
        try:
            return cls(value)
        except MistakeError as mistake:
            from actors.kit.expressions.failure import problem

            raise problem(mistake) from None
        except ValueError as error:
            raise PydanticCustomError("url", "{reason}", {"reason": str(error)}) from None


def _no_blocks() -> Exception:
    return ValueError("a URL may hold {{ … }}, and no blocks or comments")


def _is_behind_host(url: str) -> bool:
    """Whether what is appended now belongs to the path or the query."""
    _, scheme, rest = url.partition("://")
    return bool(scheme) and ("/" in rest or "?" in rest)


def _check_host(url: str, allow_hosts: Collection[str]) -> None:
    try:
        split = urlsplit(url)
        scheme, host, port = split.scheme, split.hostname, split.port
    except ValueError:
        raise _refusal("the URL is none") from None
    if scheme not in SCHEMES or not host or "@" in split.netloc:
        raise _refusal("the URL is none of HTTP or HTTPS with a plain host")
    if port is None or port == DEFAULT_PORTS[scheme]:
        allowed = host in allow_hosts or f"{host}:{DEFAULT_PORTS[scheme]}" in allow_hosts
    else:
        allowed = f"{host}:{port}" in allow_hosts
    if not allowed:
        raise _refusal(f"the host {host}{'' if port is None else f':{port}'} is not one of allow_hosts")


def _check_sendable(url: str, refusal: Any) -> None:
    if not _SENDABLE.fullmatch(url) or "\\" in url or "#" in url:
        raise refusal("the URL holds what is not allowed in one")
    path = url.partition("://")[2].partition("?")[0]
    if any(_DOTS.fullmatch(segment) for segment in path.split("/")[1:]):
        raise refusal("the URL's path has a segment of dots, which would lead elsewhere")


def _refusal(reason: str) -> DeliveryError:
    return DeliveryError(reason, reason="invalid", retryable=False)
