"""Checks a topology file and tells every problem at once."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from router.catalog import Catalog
from router.topology.definitions import Definitions, is_nothing, place
from router.topology.draft import Draft
from router.topology.load import load
from router.topology.model import LANGUAGE, Topology
from router.topology.places import Places
from router.topology.problems import Problem, TopologyError
from router.topology.promises import Promises
from router.topology.repetition import Repetition
from router.topology.report import Report
from router.topology.rounds import Rounds
from router.topology.rules import Rules
from router.topology.settings import Settings
from router.topology.source import Source, Span
from router.topology.tree import MapNode, Node, ScalarNode, kind
from router.topology.validation import Subject, Validation
from router.topology.variables import Variables

MAX_BYTES: Final = 8 * 1024 * 1024
"""Of a topology file."""
SECTIONS: Final = ("router", "name", "settings", "connections", "actors", "groups", "routes")

ROUTER_NAME: Final = re.compile(r"[a-z0-9-]{1,63}")


def load_topology(path: Path, *, catalog: Catalog, environ: Mapping[str, str]) -> Topology:
    """The topology in a file; raises `TopologyError` with every problem where there are errors.

    Warnings alone do not raise; `check` tells them too.
    """
    topology, problems = check_file(path, catalog=catalog, environ=environ)
    if topology is None:
        raise TopologyError(problems)
    return topology


def check_file(path: Path, *, catalog: Catalog, environ: Mapping[str, str]) -> tuple[Topology | None, list[Problem]]:
    """Like `check`, with the text of a file."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        return None, [Problem(str(path), 0, 0, 0, f"the file cannot be read: {error.strerror or error}")]
    return check(text, path=path, catalog=catalog, environ=environ)


def check(
    text: str | bytes, *, path: Path, catalog: Catalog, environ: Mapping[str, str]
) -> tuple[Topology | None, list[Problem]]:
    """A topology and its warnings, or None and every problem, in the order of the file.

    `path` names the file in problems, and its folder is where relative paths begin; it is not read.
    """
    source, problem = _decode(text, path)
    if problem is not None:
        return None, [problem]
    report = Report(source)
    tree = load(source, Variables(environ, path.parent), report)
    topology = None
    if isinstance(tree, MapNode):
        topology = _Check(tree, report, catalog, path).topology()
    elif tree is not None and not is_nothing(tree):
        report.error(tree.span, f"a topology is a mapping, not {kind(tree)}", "it begins with 'router: 1'")
    elif not report.errors:
        report.error(None, "the file is empty", "a topology begins with 'router: 1'")
    return (topology if not report.errors else None), report.problems()


def _decode(text: str | bytes, path: Path) -> tuple[Source, Problem | None]:
    file = str(path)
    size = len(text) if isinstance(text, bytes) else len(text.encode(errors="replace"))
    if size > MAX_BYTES:
        return Source(file, ""), Problem(file, 0, 0, 0, f"the file is larger than {MAX_BYTES // 1024**2} MiB")
    if isinstance(text, str):
        return Source(file, text.removeprefix("\ufeff")), None
    try:
        return Source(file, text.removeprefix(codecs.BOM_UTF8).decode()), None
    except UnicodeDecodeError as error:
        source = Source(file, error.object.decode(errors="replace"))
        report = Report(source)
        start = len(error.object[: error.start].decode())
        report.error(Span(start, start + 1), f"not UTF-8: byte 0x{error.object[error.start]:02x}")
        return source, report.problems()[0]


class _Check:
    """One run over one file."""

    def __init__(self, tree: MapNode, report: Report, catalog: Catalog, path: Path) -> None:
        self._tree = tree
        self._report = report
        self._path = path
        self._validation = Validation(report, {"directory": path.parent})
        self._definitions = Definitions(report, catalog, self._validation)

    def topology(self) -> Topology | None:
        for key, entry in self._tree.entries.items():
            if key not in SECTIONS:
                self._report.error(
                    entry.key, f"unknown key '{key}' in a topology", self._report.did_you_mean(key, SECTIONS)
                )
        self._language()
        name = self._name()
        settings = self._settings()
        draft = self._draft()
        Rules(draft, self._report).check()
        Repetition(draft, self._report).check()
        Promises(draft, self._report).check()
        Rounds(draft, self._report).check()
        if self._report.errors or name is None or settings is None:
            return None
        keys = {
            (section, key): entry.key
            for section in ("connections", "actors")
            for key, entry in self._definitions.entries(self._tree.get(section), section).items()
        }
        return Topology(
            name=name,
            settings=settings,
            connections={
                key: connection.definition
                for key, connection in draft.connections.items()
                if connection.definition is not None
            },
            actors={key: actor.definition for key, actor in draft.actors.items() if actor.definition is not None},
            routes={key: route.definition for key, route in draft.routes.items() if route.definition is not None},
            groups={key: group.definition for key, group in draft.groups.items() if group.definition is not None},
            path=self._path,
            text=self._report.source.text,
            places=Places(self._report.source, keys),
        )

    def _draft(self) -> Draft:
        draft = Draft()
        for name, entry in self._definitions.entries(self._tree.get("connections"), "connections").items():
            draft.connections[name] = self._definitions.connection(name, entry)
        for name, entry in self._definitions.entries(self._tree.get("actors"), "actors").items():
            draft.actors[name] = self._definitions.actor(name, entry)
        for name, entry in self._definitions.entries(self._tree.get("routes"), "routes").items():
            draft.routes[name] = self._definitions.route(name, entry)
        for name, entry in self._definitions.entries(self._tree.get("groups"), "groups").items():
            draft.groups[name] = self._definitions.group(name, entry)
        return draft

    def _settings(self) -> Settings | None:
        entry = self._tree.entries.get("settings")
        if entry is None:
            return Settings()
        return self._validation.model(Settings, entry.node, Subject(entry.key, "'settings'"))

    def _language(self) -> None:
        node = self._required("router", f"write 'router: {LANGUAGE}'")
        if node is not None and (type(node.value) is not int or node.value != LANGUAGE):
            self._report.error(
                node.span, f"version {node.shown()} of the language is unknown", f"this router reads version {LANGUAGE}"
            )

    def _name(self) -> str | None:
        node = self._required("name", "write 'name: …'")
        if node is None:
            return None
        if not isinstance(node.value, str) or not ROUTER_NAME.fullmatch(node.value):
            self._report.error(node.span, f"{node.shown()} cannot be a router's name", "a-z, 0-9 and -; 63 at most")
            return None
        return node.value

    def _required(self, key: str, suggestion: str) -> ScalarNode | None:
        """The scalar behind a key; None where it is missing or none, which is reported."""
        entry = self._tree.entries.get(key)
        if entry is None:
            self._report.error(Span(self._tree.start, self._tree.start + 1), f"missing key '{key}'", suggestion)
            return None
        node: Node = entry.node
        if isinstance(node, ScalarNode) and node.broken:
            return None
        if not isinstance(node, ScalarNode) or node.value is None:
            self._report.error(place(entry), f"'{key}' should not be {kind(node)}", suggestion)
            return None
        return node
