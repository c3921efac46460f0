"""Which code and which files a topology's text names, found without reading any of them.

Who may change a router over TCP need not be somebody who may run code or read files as the router: a class, a
function or a file that the running revision does not name is refused there, unless `settings.control.allow_code`
says otherwise. To look at the topology that a text makes would be too late, since files are read while it is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from actors.core.errors import ControlError
from router.topology.load import load
from router.topology.report import Report
from router.topology.source import Source
from router.topology.tree import ListNode, MapNode, Node, ScalarNode
from router.topology.variables import NamedFiles

Kind = Literal["code", "file", "setting"]

_CODE: Final = frozenset(("class", "call", "python"))
"""Keys of classes and functions: of the actor type `python`, and of the step, with its short form."""
_FILES: Final = frozenset(("schema", "state_dir"))
"""Keys of files, where what stands behind them is text; those of plugins are told by how they end."""
_ENDINGS: Final = ("_file", "_path", "_dir")
_IN_TLS: Final = frozenset(("ca", "cert", "key"))


class Reference(NamedTuple):
    """What a topology names outside of itself."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "setting" else f"{self.kind} {self.name!r}"


class CodeRefusedError(ControlError):
    """A change over TCP names code or files that the running revision does not; nothing was done."""

    def __init__(self, found: frozenset[Reference]) -> None:
        named = ", ".join(map(str, sorted(found)))
        hint = "settings.control.allow_code lets changes over TCP name more; the control socket does so anyhow"
        super().__init__(f"over TCP nothing may be named that the running revision does not name: {named}. {hint}")
        self.found = found


def refuse_new_code(text: str, running: str, environ: Mapping[str, str]) -> None:
    """Raise `CodeRefusedError` where `text` names code or files that the text `running` does not."""
    if found := references(text, environ) - references(running, environ):
        raise CodeRefusedError(found)


def references(text: str, environ: Mapping[str, str]) -> frozenset[Reference]:
    """All that a topology's text names, with `${NAME}` put in; none where it cannot be read as YAML.

    It is rather too much than too little: what only looks like a reference is in it too.
    """
    source = Source("", text.removeprefix("\ufeff"))
    files = NamedFiles(environ)
    tree = load(source, files, Report(source))
    found = set(_of(tree, "", "")) if tree is not None else set()
    return frozenset(found | {Reference("file", name) for name in files.named})


def _of(node: Node, key: str, above: str) -> Iterator[Reference]:
    """What is named behind `key`, in a mapping that stands behind `above`."""
    if isinstance(node, MapNode):
        for name, entry in node.entries.items():
            yield from _of(entry.node, name, key)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _of(item, key, above)
    elif isinstance(node, ScalarNode):
        if key == "allow_code" and node.value is True:
            yield Reference("setting", "settings.control.allow_code")
        elif isinstance(node.value, str):
            if key in _CODE:
                yield Reference("code", node.value)
            elif key in _FILES or key.endswith(_ENDINGS) or (above == "tls" and key in _IN_TLS):
                yield Reference("file", node.value)
