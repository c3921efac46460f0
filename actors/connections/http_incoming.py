"""Requests as they arrive: parsed by llhttp, in their order, each with its body as far as it has come."""

from __future__ import annotations

from collections import deque
from typing import Final

import httptools

from actors.connections.http_table import Entry, Limits, Refusal

STEP: Final = 4096
"""Bytes that are parsed at a time where they may be many requests: what comes behind the first one waits unparsed."""

ONCE: Final = frozenset({"authorization", "content-type", "host"})
"""Headers that no request has twice: two readers of it could go by different ones."""

TOO_LARGE: Final = Refusal(431, "the head of the request is too large")
TOO_MANY: Final = Refusal(431, "the request has too many headers")
NO_HOST: Final = Refusal(400, "a request of HTTP/1.1 names its host")
OTHER_VERSION: Final = Refusal(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
NO_TUNNEL: Final = Refusal(400, "this is no proxy")
OTHER_CODING: Final = Refusal(501, "no transfer coding but chunked is known here")
CHUNKED_TOO_EARLY: Final = Refusal(400, "HTTP/1.0 has no chunks")

_MOST_NAMES: Final = 1000
_LONGEST_NAME: Final = 64
_names: dict[bytes, str] = {}
"""Names of headers as they were written, and in lower case: mostly the same ones come again."""
_METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}


class Incoming:
    """A request whose head has arrived."""

    __slots__ = (
        "body",
        "complete",
        "entry",
        "headers",
        "is_old",
        "keeps_alive",
        "method",
        "size",
        "switches",
        "target",
    )

    def __init__(self, method: str, target: str, headers: dict[str, str], keeps_alive: bool) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        """Names in lower case; lines of one name are joined by a comma, as RFC 9110, 5.3, allows."""
        self.keeps_alive = keeps_alive
        """Whether another request may follow on this connection."""
        self.is_old = False
        """Of HTTP/1.0, whose clients are told that their connection is kept."""
        self.switches = False
        """Whether the client wants to go over to another protocol, so that what follows is no HTTP."""
        self.entry: Entry | None = None
        self.body: bytes | bytearray = b""
        """What has come of it; `size` bytes."""
        self.size = 0
        self.complete = False
        """Whether the client has sent all of it."""

    def admit(self, entry: Entry) -> Refusal | None:
        """It goes to `entry`, unless its head says that its body is too large."""
        self.entry = entry
        return entry.too_large if not self.complete and self.announced > entry.max_body else None

    @property
    def announced(self) -> int:
        """The size of its body, where the head tells it; 0 where it does not."""
        return int(self.headers.get("content-length", 0))


class Arrivals:
    """What a client has sent ahead, bounded: a head, a step of small requests, and what is not parsed yet."""

    __slots__ = (
        "_filling",
        "_has_told",
        "_headers",
        "_limits",
        "_parser",
        "_repeated",
        "_silent",
        "_target",
        "_unparsed",
        "_waiting",
        "broken",
        "head_begun",
        "rest",
    )

    def __init__(self, limits: Limits) -> None:
        self.head_begun = False
        """Whether a head has begun to arrive and is not complete."""
        self.broken: Refusal | None = None
        """Why what came cannot be read on: the answer to the request that is incomplete, or would be the next."""
        self.rest: bytes | None = None
        """What came after a request that switches, and is no HTTP; None where there was none."""
        self._limits = limits
        self._waiting: deque[Incoming] = deque()
        self._filling: Incoming | None = None
        """The last one, while its body is on its way."""
        self._unparsed = memoryview(b"")
        self._headers: dict[str, str] = {}
        self._repeated = 0
        self._target = b""
        # Whether the parser has told anything in this step, and how much it was fed since it last did.
        self._has_told = False
        self._silent = 0
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)

    def __len__(self) -> int:
        return len(self._waiting)

    def feed(self, data: bytes) -> None:
        """Take what has come, and parse it as far as the next request."""
        if self.rest is not None:
            self.rest += data
        elif self.broken is not None:
            return
        elif self._unparsed:
            self._unparsed = memoryview(bytes(self._unparsed) + data)
        elif len(data) <= STEP:
            self._parse(data)
        else:
            self._unparsed = memoryview(data)
            self.parse_on()

    def parse_on(self) -> bool:
        """Parse what is left, one step of it; false where nothing is."""
        unparsed = self._unparsed
        if not unparsed:
            return False
        filling = self._filling
        step = STEP if filling is None else STEP + max(0, filling.announced - filling.size)
        self._unparsed = unparsed[step:]
        self._parse(unparsed[:step])
        return True

    def next(self) -> Incoming | Refusal | None:
        """The next request; a refusal where the client does not speak HTTP; None where it has to come yet."""
        while not self._waiting:
            if self.broken is not None or not self.parse_on():
                return self.broken
        return self._waiting.popleft()

    def close(self) -> None:
        """Nothing more is read."""
        # The parser knows us as we know it, which would be left to the garbage collector.
        self._parser = None

    def _parse(self, data: bytes | memoryview) -> None:
        parser = self._parser
        if parser is None:
            return
        self._has_told = False
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as switch:
            self._switch(bytes(data[switch.args[0] :]))
            return
        except httptools.HttpParserError as error:
            self._break(Refusal(400, f"that is no HTTP: {str(error) or 'nothing of it'}"))
            return
        if self._has_told:
            self._silent = 0
            return
        # A head, or what stands behind a body in chunks: nobody looks at its size before it ends.
        self._silent += len(data)
        if self._silent > self._limits.head_size:
            self._break(TOO_LARGE)

    def _break(self, refusal: Refusal) -> None:
        self.broken = self.broken or refusal
        self._unparsed = memoryview(b"")

    def _switch(self, rest: bytes) -> None:
        """The parser takes what follows for another protocol."""
        if self.broken is not None:
            return
        rest += self._unparsed
        self._unparsed = memoryview(b"")
        if self._waiting and self._waiting[-1].switches:
            self.rest = rest
            return
        # To HTTP/2, say, which Java's client offers with its first request: we go on as if it had not (RFC 9110, 7.8).
        parser, headers = self._parser, self._headers
        assert parser is not None, "it told this"
        del headers["upgrade"]
        request_line = f"{parser.get_method().decode()} {self._target.decode()} HTTP/{parser.get_http_version()}"
        head = "\r\n".join([request_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""])
        self._parser = httptools.HttpRequestParser(self)
        self.feed(head.encode() + rest)

    def _refuse(self, refusal: Refusal) -> None:
        """Within a callback: nothing more is parsed."""
        self._break(refusal)
        raise httptools.HttpParserError

    # The parser's side

    def on_message_begin(self) -> None:
        self.head_begun = True
        self._headers = {}
        self._repeated = 0
        self._target = b""

    def on_url(self, piece: bytes) -> None:
        self._target += piece

    def on_header(self, written: bytes, value: bytes) -> None:
        if self._filling is not None:
            # Behind a body in chunks: nobody has asked for it, and nobody may take it for a part of the head.
            return
        name = _names.get(written)
        if name is None:
            name = written.decode("ascii").lower()
            if len(name) <= _LONGEST_NAME and len(_names) < _MOST_NAMES:
                _names[written] = name
        try:
            text = value.decode().rstrip(" \t")
        except UnicodeDecodeError:
            # Of older clients, and always text: every byte is a character of it.
            text = value.decode("latin-1").rstrip(" \t")
        headers = self._headers
        if name in headers:
            self._repeat(name, text)
        else:
            headers[name] = text

    def _repeat(self, name: str, value: str) -> None:
        if name in ONCE:
            self._refuse(Refusal(400, f"the header {name!r} is there twice"))
        self._repeated += 1
        if self._repeated > self._limits.headers:
            self._refuse(TOO_MANY)
        self._headers[name] += f", {value}"

    def on_headers_complete(self) -> None:
        self._has_told = True
        self.head_begun = False
        parser, headers = self._parser, self._headers
        assert parser is not None, "it calls"
        method = _METHODS.get(parser.get_method(), "")
        keeps_alive = parser.should_keep_alive()
        request = Incoming(method, self._target.decode(), headers, keeps_alive)
        if (
            not (method and keeps_alive and "host" in headers)
            or "connection" in headers
            or "transfer-encoding" in headers
        ):
            self._look_closer(parser, request)
        if len(headers) + self._repeated > self._limits.headers:
            self._refuse(TOO_MANY)
        if self._silent and self._head_size > self._limits.head_size:
            self._refuse(TOO_LARGE)
        if "upgrade" in headers and parser.should_upgrade():
            if method != "GET" or headers["upgrade"].lower() != "websocket":
                return
            request.switches = True
        self._filling = request
        self._waiting.append(request)

    @property
    def _head_size(self) -> int:
        return len(self._target) + sum(len(name) + len(value) for name, value in self._headers.items())

    def _look_closer(self, parser: httptools.HttpRequestParser, request: Incoming) -> None:
        """What most requests give no reason to ask: this costs more than all the rest."""
        version, coding = parser.get_http_version(), request.headers.get("transfer-encoding")
        request.method = parser.get_method().decode()
        if request.method == "CONNECT":
            self._refuse(NO_TUNNEL)
        if version not in ("1.0", "1.1"):
            self._refuse(OTHER_VERSION)
        request.is_old = version == "1.0"
        if coding is not None and coding.lower() != "chunked":
            self._refuse(OTHER_CODING)
        if request.is_old and coding is not None:
            self._refuse(CHUNKED_TOO_EARLY)
        if not request.is_old and "host" not in request.headers:
            self._refuse(NO_HOST)

    def on_body(self, piece: bytes) -> None:
        self._has_told = True
        request = self._filling
        assert request is not None, "its head has come"
        if not request.size:
            request.body = piece  # most bodies come in one piece
        else:
            if isinstance(request.body, bytes):
                request.body = bytearray(request.body)
            request.body += piece
        request.size += len(piece)

    def on_message_complete(self) -> None:
        request, self._filling = self._filling, None
        if request is not None:
            request.complete = True
