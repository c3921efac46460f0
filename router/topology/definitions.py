"""Makes the definitions of a topology from the parts of its tree."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeVar

from router.catalog import Catalog, CatalogError, Shelf
from router.topology.draft import ActorDraft, ConnectionDraft, GroupDraft, RouteDraft, names, references
from router.topology.fields import keys
from router.topology.model import (
    ActorDefinition,
    ActorOptions,
    ConnectionDefinition,
    GroupDefinition,
    RouteDefinition,
    RouteOptions,
    StepDefinition,
)
from router.topology.report import Report
from router.topology.source import Span
from router.topology.tree import Entry, ListNode, MapNode, Node, ScalarNode, kind
from router.topology.validation import Subject, Validation

S = TypeVar("S")

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
"""Of actors, routes, connections and groups: they stand in URLs, in labels and on command lines."""

_DEFAULTS: Final = ActorOptions()
_COMMON: Final = keys(ActorOptions)


class Definitions:
    """Reads the entries of `actors:`, `routes:`, `connections:` and `groups:`."""

    def __init__(self, report: Report, catalog: Catalog, validation: Validation) -> None:
        self._report = report
        self._catalog = catalog
        self._validation = validation

    def entries(self, node: Node | None, section: str) -> Mapping[str, Entry]:
        """What a section has by name; names that cannot be used are reported."""
        if node is None or is_nothing(node):
            return {}
        if not isinstance(node, MapNode):
            self._report.error(node.span, f"'{section}' should be a mapping of names, not {kind(node)}")
            return {}
        for name, entry in node.entries.items():
            if not NAME.fullmatch(name):
                self._report.error(
                    entry.key,
                    f"'{name}' cannot be a name in '{section}'",
                    "a letter, then letters, digits, - and _; 63 at most",
                )
        return node.entries

    def actor(self, name: str, entry: Entry) -> ActorDraft:
        node = self._mapping(entry, f"actor '{name}'")
        if node is None:
            return ActorDraft(name, entry.key, MapNode(*entry.node.span))
        draft = ActorDraft(name, entry.key, node)
        common = self._common(node, Subject(entry.key, f"actor '{name}'"))
        spec = self._typed(node, entry.key, f"actor '{name}'", "actor type", self._catalog.endpoints)
        if spec is not None:
            subject = Subject(entry.key, f"actor type '{spec.name}'", "option", {*_COMMON, "type"})
            options = self._validation.model(spec.options, _without(node, {*_COMMON, "type"}), subject)
            if options is not None and common is not None:
                draft.definition = ActorDefinition.model_construct(
                    **common.__dict__, name=name, type=spec.name, options=options, spec=spec
                )
        return draft

    def route(self, name: str, entry: Entry) -> RouteDraft:
        node = self._mapping(entry, f"route '{name}'")
        if node is None:
            return RouteDraft(name, entry.key, MapNode(*entry.node.span))
        draft = RouteDraft(name, entry.key, node, references(node))
        subject = Subject(entry.key, f"route '{name}'", others={"steps"})
        options = self._validation.model(RouteOptions, _without(node, {"steps"}), subject, by_name=False)
        steps = self._steps(node.entries.get("steps"))
        if options is not None and steps is not None:
            draft.definition = RouteDefinition.model_construct(**options.__dict__, name=name, steps=steps)
        return draft

    def group(self, name: str, entry: Entry) -> GroupDraft:
        definition = self._validation.model(GroupDefinition, entry.node, Subject(entry.key, f"group '{name}'"))
        members = names(entry.node.get("actors")) if isinstance(entry.node, MapNode) else ()
        return GroupDraft(name, tuple(members), definition)

    def connection(self, name: str, entry: Entry) -> ConnectionDraft:
        draft = ConnectionDraft(name)
        node = self._mapping(entry, f"connection '{name}'")
        if node is None:
            return draft
        spec = self._typed(node, entry.key, f"connection '{name}'", "connection type", self._catalog.connections)
        if spec is None:
            return draft
        subject = Subject(entry.key, f"connection type '{spec.name}'", "option", {"type"})
        options = self._validation.model(spec.options, _without(node, {"type"}), subject)
        if options is not None:
            draft.definition = ConnectionDefinition(name, spec.name, options, spec)
        return draft

    def _common(self, node: MapNode, subject: Subject) -> ActorOptions | None:
        given = {key: entry for key, entry in node.entries.items() if key in _COMMON}
        if not given:
            return _DEFAULTS
        return self._validation.model(ActorOptions, MapNode(node.start, node.end, given), subject)

    def _steps(self, entry: Entry | None) -> tuple[StepDefinition, ...] | None:
        if entry is None or is_nothing(entry.node):
            return ()
        if not isinstance(entry.node, ListNode):
            self._report.error(place(entry), f"'steps' should be a list, not {kind(entry.node)}")
            return None
        steps = [self._step(node) for node in entry.node.items]
        good = tuple(step for step in steps if step is not None)
        return good if len(good) == len(steps) else None

    def _step(self, node: Node) -> StepDefinition | None:
        if not isinstance(node, MapNode) or len(node.entries) != 1:
            if not (isinstance(node, ScalarNode) and node.broken):
                found = f"{len(node.entries)} keys" if isinstance(node, MapNode) else kind(node)
                self._report.error(node.span, f"a step should be a mapping with one key, not {found}")
            return None
        ((name, entry),) = node.entries.items()
        spec = self._look_up(self._catalog.steps, "step", name, entry.key, f"'{name}'")
        if spec is None:
            return None
        options = self._validation.model(spec.options, entry.node, Subject(entry.key, f"step '{name}'", "option"))
        return StepDefinition(name, options, spec) if options is not None else None

    def _mapping(self, entry: Entry, what: str) -> MapNode | None:
        if isinstance(entry.node, MapNode):
            return entry.node
        if not (isinstance(entry.node, ScalarNode) and entry.node.broken):
            self._report.error(place(entry), f"{what} should be a mapping, not {kind(entry.node)}")
        return None

    def _typed(self, node: MapNode, key: Span, owner: str, what: str, shelf: Shelf[S]) -> S | None:
        """What `type:` names; None where there is none, which is reported."""
        given = node.entries.get("type")
        if given is None:
            self._report.error(key, f"missing key 'type' in {owner}")
            return None
        name = given.node
        if isinstance(name, ScalarNode) and name.broken:
            return None
        if not isinstance(name, ScalarNode) or not isinstance(name.value, str):
            self._report.error(place(given), f"'type' should be a string, not {kind(name)}")
            return None
        return self._look_up(shelf, what, name.value, name.span, name.shown())

    def _look_up(self, shelf: Shelf[S], what: str, name: str, span: Span, shown: str) -> S | None:
        if name not in shelf:
            known = shelf.names()
            among = f"there are: {', '.join(known)}" if known else "there are none yet"
            meant = self._report.did_you_mean(name, known) if shown == f"'{name}'" else ""
            self._report.error(span, f"unknown {what} {shown}", meant or among)
            return None
        try:
            return shelf[name]
        except CatalogError as error:
            self._report.error(span, f"the {what} {shown} cannot be loaded: {error}")
            return None


def is_nothing(node: Node) -> bool:
    """Whether nothing stands behind a key, or what has been reported."""
    return isinstance(node, ScalarNode) and (node.value is None or node.broken)


def place(entry: Entry) -> Span:
    """Where to say that a value is wrong: at it, or at its key where it is nothing or takes many lines."""
    node = entry.node
    return node.span if isinstance(node, ScalarNode) and node.end > node.start else entry.key


def _without(node: MapNode, names: Collection[str]) -> MapNode:
    return MapNode(node.start, node.end, {key: entry for key, entry in node.entries.items() if key not in names})
