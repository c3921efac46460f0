"""`${NAME}`, `${NAME:-default}` and `${file:path}`, put into scalars when the file is loaded."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

MAX_FILE_BYTES: Final = 64 * 1024
"""Of a file that `${file:…}` names."""

MAX_CHARACTERS: Final = 8 * 1024 * 1024
"""Of all that is put into one topology."""

SHORTEST_SECRET: Final = 4
"""What is shorter keeps nobody out."""

_REFERENCE: Final = re.compile(r"\$\$|\$\{([^}]*)\}|\$\{")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULTED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):-(.*)", re.DOTALL)


class Missing(NamedTuple):
    """A reference that cannot be replaced: where it is in the scalar, why, and a name to suggest others for."""

    offset: int
    length: int
    message: str
    name: str | None = None


class Expanded(NamedTuple):
    """A scalar's text with its references replaced."""

    text: str
    replaced: bool
    """Something was put in: the text is not to be printed."""
    missing: list[Missing]


class Variables:
    """The environment and the folder that references are looked up in; `$$` is a dollar, any other `$` is itself."""

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self.environ = environ
        self._directory = directory
        self._files: dict[str, str] = {}
        self._room = MAX_CHARACTERS

    def expand(self, text: str) -> Expanded:
        """Replace every reference; what is put in is not looked at again."""
        parts: list[str] = []
        missing: list[Missing] = []
        replaced = False
        last = 0
        for match in _REFERENCE.finditer(text):
            parts.append(text[last : match.start()])
            last = match.end()
            if match[0] == "$$":
                parts.append("$")
                continue
            found = self._look_up(match)
            if isinstance(found, str):
                self._room -= len(found)
                if self._room < 0:
                    length = match.end() - match.start()
                    found = Missing(match.start(), length, "what is put into the file grows too long")
            if isinstance(found, Missing):
                missing.append(found)
            else:
                parts.append(found)
                replaced = True
        parts.append(text[last:])
        return Expanded("".join(parts), replaced, missing)

    def put_in(self, text: str) -> dict[str, str]:
        """The references of a file's text (`${TOKEN}`) by the values that are put in for them.

        What the file itself has as a default is left out, and so are values of fewer than 4 characters, which
        are no secrets and would be found everywhere.
        """
        found: dict[str, str] = {}
        for match in _REFERENCE.finditer(text):
            value = None if match[1] is None else self._look_up(match)
            if isinstance(value, str) and len(value) >= SHORTEST_SECRET:
                name, defaulted, default = match[1].partition(":-")
                if not defaulted or value != default.replace("$$", "$"):
                    found.setdefault(value, f"${{{name}}}")
        return found

    def _look_up(self, match: re.Match[str]) -> str | Missing:
        reference, offset, length = match[1], match.start(), match.end() - match.start()
        if reference is None:
            return Missing(offset, length, "'${' without its '}'; a dollar is written '$$'")
        if reference.startswith("file:"):
            try:
                return self._file(reference.removeprefix("file:"))
            except _UnreadableError as error:
                return Missing(offset, length, str(error))
        defaulted = _DEFAULTED.fullmatch(reference)
        name = defaulted[1] if defaulted else reference
        if not _NAME.fullmatch(name) or (defaulted and "${" in defaulted[2]):
            return Missing(offset, length, f"'{match[0]}' is none of ${{NAME}}, ${{NAME:-default}} and ${{file:path}}")
        value = self.environ.get(name)
        if value is not None and not _is_text(value):
            return Missing(offset, length, f"the environment variable '{name}' is not UTF-8")
        if defaulted:
            return value or defaulted[2].replace("$$", "$")
        if value is None:
            return Missing(offset, length, f"the environment variable '{name}' is not set, and has no default", name)
        return value

    def _file(self, path: str) -> str:
        """The text of a file, without the line break at its end."""
        if path in self._files:
            return self._files[path]
        place = self._directory / path
        try:
            if not stat.S_ISREG(place.stat().st_mode):  # anything else might never end
                raise _UnreadableError(f"'{path}' is not a file")
            with place.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
            raise _UnreadableError(f"the file '{path}' cannot be read: {why}") from error
        if len(content) > MAX_FILE_BYTES:
            raise _UnreadableError(f"the file '{path}' is larger than {MAX_FILE_BYTES // 1024} KiB")
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise _UnreadableError(f"the file '{path}' is not UTF-8") from error
        self._files[path] = text.removesuffix("\n").removesuffix("\r")
        return self._files[path]


class NamedFiles(Variables):
    """Reads no file, but takes down which ones `${file:…}` names; nothing is put in for them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ, Path())
        self.named: set[str] = set()

    def _file(self, path: str) -> str:
        self.named.add(path)
        return ""


class _UnreadableError(Exception):
    """Says why a file cannot be used."""


def _is_text(value: str) -> bool:
    """Whether it is UTF-8: what is not comes out of `os.environ` with lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
