"""Which handler has which path: exact ones and ones with parameters, which come and go while requests arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from actors.connections.http_exchange import Exchange
from actors.connections.http_paths import NO_PARAMETERS, PathPattern, Shape, rank, values
from actors.core.errors import RouterError
from actors.kit.units import format_size

Handler = Callable[[Exchange], None]

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a listener bears from its clients; sizes in bytes."""

    head_size: int = 16 * 1024
    """Of a whole head: the target, and all names and values."""
    headers: int = 100
    receive_timeout_s: float = 8.0
    """From a request's first byte to its last."""
    slowest_bytes_per_s: int = 16 * 1024
    """A body that comes faster than this may take longer than `receive_timeout_s`."""
    keep_alive_s: float = 75.0
    """How long a connection may stay open between two requests; more than the 60 s of common proxies."""
    connections: int = 10_000
    buffered: int = 64 * 1024 * 1024
    """Of all bodies that are on their way in at one time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One path, as it was added for one method or more."""

    path: str
    handler: Handler
    max_body: int
    too_large: Refusal
    names: tuple[str, ...] = ()
    """Of the path's parameters."""
    parameters: Mapping[str, str] = field(default_factory=lambda: NO_PARAMETERS)
    """What they are in the request that was found to belong here."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that a request's head alone decides."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


NOWHERE: Final = Refusal(404, "nothing is at this path")


def _not_allowed(by_method: Mapping[str, Entry]) -> Refusal:
    allowed = ", ".join(sorted(by_method))
    return Refusal(405, f"this path takes {allowed}", (("Allow", allowed),))


class PathTakenError(RouterError):
    """Another handler has this path and method."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"{method} {path} is taken")
        self.method = method
        self.path = path


class PathTable:
    """Paths are compared byte for byte, as they were sent: nothing is decoded, normalised or guessed.

    A segment `{name}` stands for any one segment. An exact path goes before one with parameters, and of two of
    those the one that has a literal where they first differ.

    With `hosts`, a request whose Host names none of them (with any port) is refused: a page of another site
    whose name was made to point here could otherwise post to a loopback listener (DNS rebinding).
    """

    def __init__(self, hosts: Iterable[str] | None = None) -> None:
        self._paths: dict[str, dict[str, Entry]] = {}
        self._shapes: dict[Shape, dict[str, Entry]] = {}
        """Those with parameters, in the order of their rank."""
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._known_host: str | None = None
        """The last Host that was found to be ours: mostly the next one is the same."""

    def __len__(self) -> int:
        return len(self._paths) + len(self._shapes)

    def add(self, methods: Sequence[str], path: str, handler: Handler, *, max_body: int) -> Callable[[], None]:
        """Lead `path` to `handler` from now on; returns what ends that.

        Raises `PathTakenError`, and adds nothing then.
        """
        if not path.startswith("/") or "?" in path or "#" in path:
            raise ValueError(f"not a path: {path!r}")
        pattern = PathPattern.parse(path)
        by_method = self._at(path, pattern)
        for method in methods:
            if method in by_method:
                raise PathTakenError(method, path)
        entry = Entry(path, handler, max_body, Refusal(413, f"a body may have {format_size(max_body)}"), pattern.names)
        self._put(path, pattern, by_method | dict.fromkeys(methods, entry))

        def remove() -> None:
            left = {method: kept for method, kept in self._at(path, pattern).items() if kept is not entry}
            self._put(path, pattern, left)

        return remove

    def replace(
        self, remove: Callable[[], None], methods: Sequence[str], path: str, handler: Handler, *, max_body: int
    ) -> Callable[[], None]:
        """End what `remove` ends, and add this in its place; returns what ends that.

        Raises `PathTakenError` where a third one has the path, and changes nothing then.
        """
        before = dict(self._paths), self._shapes
        remove()
        try:
            return self.add(methods, path, handler, max_body=max_body)
        except PathTakenError:
            self._paths, self._shapes = before
            raise

    def _at(self, path: str, pattern: PathPattern) -> dict[str, Entry]:
        return (self._shapes.get(pattern.shape) if pattern.names else self._paths.get(path)) or {}

    def _put(self, path: str, pattern: PathPattern, by_method: dict[str, Entry]) -> None:
        if not pattern.names:
            self._paths.pop(path, None)
            if by_method:
                self._paths[path] = by_method
            return
        shapes = {**self._shapes, pattern.shape: by_method}
        self._shapes = {shape: shapes[shape] for shape in sorted(shapes, key=rank) if shapes[shape]}

    def find(self, method: str, target: str, host: str | None) -> Entry | Refusal:
        """Who answers a request with this request line and Host."""
        path, _, _ = target.partition("?")
        if not path.startswith("/"):
            # The absolute form, which a server must understand; its authority counts and Host does not.
            _, scheme, rest = path.partition("://")
            if not scheme:
                return Refusal(400, "the request target is no path")
            host, slash, path = rest.partition("/")
            path = slash + path
        if self._hosts is not None and (host is None or host != self._known_host):
            if not self._is_ours(host):
                return Refusal(403, "this listener does not answer to that Host")
            self._known_host = host
        by_method = self._paths.get(path)
        if by_method is not None:
            return by_method.get(method) or _not_allowed(by_method)
        return self._find_with_parameters(method, path) if self._shapes else NOWHERE

    def _find_with_parameters(self, method: str, path: str) -> Entry | Refusal:
        segments = path.split("/")
        for shape, by_method in self._shapes.items():
            if (found := values(shape, segments)) is not None:
                entry = by_method.get(method)
                if entry is None:
                    return _not_allowed(by_method)
                return replace(entry, path=path, parameters=dict(zip(entry.names, found, strict=True)))
        return NOWHERE

    def _is_ours(self, host: str | None) -> bool:
        assert self._hosts is not None
        if host is None:
            return False
        host = host.lower()
        if host in self._hosts:
            return True
        name, colon, port = host.rpartition(":")
        return bool(colon) and name in self._hosts and (port.isascii() and port.isdigit())
