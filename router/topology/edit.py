"""Edits a topology's text: where a route leads is written anew, and every other character stays.

The value of `to` is cut out by the parser's marks and another put in its place. A round trip through ruamel.yaml would
keep comments and order too, but lay out anew what nobody touched: indentation, quotes, long lines, line breaks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from actors.core.errors import ControlError
from actors.kit.expressions import Template
from router.topology.definitions import NAME
from router.topology.problems import did_you_mean
from router.topology.removal import Cut, entry_removed, item_removed
from router.topology.scalars import typed
from router.topology.target import HEAVIEST, One, Split
from router.topology.written import Entry, Part, read

_BY_HAND: Final = "edit the file by hand"
_WEIGHT: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_COLON: Final = re.compile(r"\s*:")
_BLANK_OR_COMMENT: Final = re.compile(r"[ \t]*(#|[\r\n]|\Z)")


def parse_targets(arguments: Sequence[str]) -> One | Split:
    """What `--to` says: `A` is an actor, `A=90 B=10` a split; raises ControlError where it is neither.

    One actor that has all the weight is no split, but that actor.
    """
    weights: dict[str, float | None] = {}
    for argument in arguments:
        name, equals, weight = argument.partition("=")
        if not NAME.fullmatch(name):
            raise ControlError(f"'{argument}' is neither ACTOR nor ACTOR=WEIGHT")
        if name in weights:
            raise ControlError(f"actor '{name}' is named twice")
        weights[name] = _weight(name, weight) if equals else None
    given = {name: weight for name, weight in weights.items() if weight is not None}
    if not weights:
        raise ControlError("name an actor, or several with their weights: A=90 B=10")
    if given and not any(given.values()):
        raise ControlError("at least one weight must be above 0")
    if len(weights) == 1:
        return One(actor=next(iter(weights)))
    for name in weights:
        if name not in given:
            raise ControlError(f"where there are several actors each needs a weight: {name}=10")
    return Split(weights=given)


class Redirected(NamedTuple):
    """The text of a topology in which a route leads elsewhere."""

    text: str
    remark: str = ""
    """What else had to be changed for that."""


def redirect(text: str, route: str, to: One | Split) -> Redirected:
    """The text of a topology in which `route` leads to `to`; nothing is expanded, and `${…}` stays as it is.

    An actor that is a fallback of the route already is none any more when it is the target.

    A split keeps the key that the route's split has (`by`), unless it brings its own; and where it has the same
    actors, only their weights are replaced. Comments within what is replaced go with it. Line breaks are as in
    `text`: decode the file's bytes, since `read_text` would change them.

    Raises ControlError where there is no such route, and where an anchor, an alias or a merge key has a part in
    its `to`: an edit could change other routes with it.
    """
    document = read(text)
    target = _target(document, route)
    by = _entry(target.value, "by") if isinstance(to, Split) else None
    cuts = [*_cuts(text, document, target, to)]
    former = _former_fallback(document, route, to)
    if former is not None:
        cuts.append(former.cut(text, document))
    edited = text
    for start, end, new in sorted(cuts, reverse=True):
        edited = edited[:start] + new + edited[end:]
    if former is not None:
        former.forget()
    if not _is_done(edited, route, to, document, target, by):
        raise ControlError(f"'to' of route '{route}' cannot be replaced without changing more: {_BY_HAND}")
    if former is None:
        return Redirected(edited)
    return Redirected(edited, f"'{former.name}' is the target of route '{route}' now, and its fallback no more")


def _weight(name: str, text: str) -> float:
    if not _WEIGHT.fullmatch(text):
        raise ControlError(f"the weight of '{name}' should be a number such as 90, not '{text}'")
    weight = float(text)
    if weight > HEAVIEST:
        raise ControlError(f"the weight of '{name}' should be at most {HEAVIEST:,}, not {text}")
    return weight


# Finding it


def _target(document: Part, route: str) -> Entry:
    """The entry `to` of a route, which it shares with nothing."""
    routes = _entry(document, "routes")
    found = _entry(routes.value, route) if routes is not None else None
    if routes is None or found is None:
        known = [entry.key.text for entry in routes.value.entries] if routes is not None else []
        meant = did_you_mean(route, known)
        raise ControlError(f"the file has no route '{route}'{': ' if meant else ''}{meant}")
    target = _entry(found.value, "to")
    if target is None:
        if found.value.kind == "alias":
            why = f"repeats another with '*{found.value.text}'"
        elif _entry(found.value, "<<") is not None:
            why = "has no 'to' of its own, but a merge key '<<'"
        else:
            why = "has no 'to' in the file"
        raise ControlError(f"route '{route}' {why}: {_BY_HAND}")
    if target.value.kind == "alias":
        raise ControlError(f"'to' of route '{route}' repeats '*{target.value.text}': {_BY_HAND}")
    if target.value.start == target.value.end:
        raise ControlError(f"'to' of route '{route}' is empty: {_BY_HAND}")
    _unshared(document, routes.value, found.value, target.value)
    return target


class _FormerFallback(NamedTuple):
    """An actor that cannot be the target and a fallback as well."""

    name: str
    of: Part
    """The route."""
    entry: Entry
    """Its key `fallback`."""
    items: list[Part]
    """Where the list has it, if that has others."""

    def cut(self, text: str, document: Part) -> Cut:
        """What to take out of the text."""
        _unshared(document, self.of, *self.entry.value.all())
        if not self.items:
            return entry_removed(text, self.of, self.entry)
        return item_removed(text, self.entry.value, self.items[0])

    def forget(self) -> None:
        """Take it out of what was read."""
        if self.items:
            self.entry.value.items.remove(self.items[0])
        else:
            self.of.entries.remove(self.entry)


def _former_fallback(document: Part, route: str, to: One | Split) -> _FormerFallback | None:
    """The fallback of a route that becomes its one target; of a split another target is as good as any."""
    routes = _entry(document, "routes")
    found = _entry(routes.value, route) if routes is not None else None
    entry = _entry(found.value, "fallback") if found is not None else None
    if found is None or entry is None or not isinstance(to, One):
        return None
    value = entry.value
    if value.kind == "scalar":
        return _FormerFallback(to.actor, found.value, entry, []) if value.text == to.actor else None
    items = [item for item in value.items if item.kind == "scalar" and item.text == to.actor]
    if value.kind != "list" or not items:
        return None
    return _FormerFallback(to.actor, found.value, entry, items if len(value.items) > 1 else [])


def _unshared(document: Part, *parts: Part) -> None:
    """Refuse to change what another place repeats."""
    anchors = {part.anchor for part in parts if part.anchor is not None}
    if anchors:
        for part in document.all():
            if part.kind == "alias" and part.text in anchors:
                raise ControlError(f"'&{part.text}' is repeated elsewhere, which would change with it: {_BY_HAND}")


def _entry(part: Part, key: str) -> Entry | None:
    return next((entry for entry in part.entries if entry.key.kind == "scalar" and entry.key.text == key), None)


# Replacing it


def _cuts(text: str, document: Part, target: Entry, to: One | Split) -> Iterator[Cut]:
    """What to replace, as little as will do."""
    split = _entry(target.value, "split")
    if isinstance(to, Split) and to.by is None and split is not None:
        weights = {entry.key.text: entry for entry in split.value.entries}
        if weights.keys() == to.weights.keys():
            for name, entry in weights.items():
                if not _is_weight(entry.value, to.weights[name]):
                    _unshared(document, split.value, *entry.value.all())
                    yield from _replace(text, entry, _number(to.weights[name]))
        else:
            _unshared(document, *split.value.all())
            yield from _replace(text, split, _flow(to.weights))
        return
    _unshared(document, *target.value.all())
    if isinstance(to, One):
        yield from _replace(text, target, _name(to.actor))
    else:
        by = f", by: {_quoted(to.by)}" if to.by is not None else ""
        yield from _replace(text, target, f"{{split: {_flow(to.weights)}{by}}}")


def _replace(text: str, entry: Entry, new: str) -> Iterator[Cut]:
    """Another value behind a key; one that began on a line below begins behind the colon then."""
    start, end = entry.value.start, entry.value.end
    gap = text[entry.key.end : start]
    colon = _COLON.match(gap)
    between = gap[colon.end() :] if colon is not None else ""
    if "\n" not in between and "\r" not in between:
        yield Cut(start, end, new)
        return
    behind_colon = start - len(between)
    if not between.strip():
        yield Cut(behind_colon, end, f" {new}")
        return
    # There is a comment between them: it stays, and so does a line that has more than the value.
    if _BLANK_OR_COMMENT.match(text, end):
        start = behind_colon + len(between.rstrip())
    yield Cut(behind_colon, behind_colon, f" {new}")
    yield Cut(start, end, "")


def _name(name: str) -> str:
    return name if typed(name) == name else f'"{name}"'


def _number(weight: float) -> str:
    return str(int(weight)) if weight.is_integer() else repr(weight)


def _flow(weights: dict[str, float]) -> str:
    return f"{{{', '.join(f'{_name(name)}: {_number(weight)}' for name, weight in weights.items())}}}"


def _escaped(template: Template) -> str:
    """A template as the file has it, without quotes."""
    source = template.source
    return source.replace("$", "$$") if isinstance(source, str) else json.dumps(source)


def _quoted(template: Template) -> str:
    """With quotes where it is text: what JSON has in quotes, YAML has too."""
    text = _escaped(template)
    return json.dumps(text, ensure_ascii=not text.isprintable()) if isinstance(template.source, str) else text


# Looking at what came of it


def _is_done(edited: str, route: str, to: One | Split, document: Part, target: Entry, by: Entry | None) -> bool:
    """Whether the text reads as before but for where the route leads, however oddly it is laid out."""
    try:
        after = read(edited)
        found = _target(after, route)
    except ControlError:
        return False
    if not _leads(found.value, to, by):
        return False
    found.value = target.value
    return after == document


def _leads(part: Part, to: One | Split, by: Entry | None) -> bool:
    if isinstance(to, One):
        return part.kind == "scalar" and part.text == to.actor and not (part.is_plain and typed(part.text) != part.text)
    split, key = _entry(part, "split"), _entry(part, "by")
    if split is None or len(part.entries) != 1 + (key is not None):
        return False
    weights = {entry.key.text: entry.value for entry in split.value.entries}
    if weights.keys() != to.weights.keys() or len(weights) != len(split.value.entries):
        return False
    if to.by is None:
        is_key = key == by
    else:
        is_key = key is not None and key.value.text == _escaped(to.by)
    return is_key and all(_is_weight(value, to.weights[name]) for name, value in weights.items())


def _is_weight(part: Part, weight: float) -> bool:
    value = typed(part.text) if part.kind == "scalar" and part.is_plain else None
    return type(value) in (int, float) and value == weight
