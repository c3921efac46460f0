"""What an option model says about its keys: their names, and which of them hold secrets or name connections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from actors.core.connection import ConnectionTo
from router.topology.tree import ListNode, MapNode, Node, ScalarNode, scalars


@lru_cache(maxsize=1024)
def keys(model: type[BaseModel]) -> frozenset[str]:
    """The keys that a model takes, as a file has them."""
    return frozenset(_key(name, field) for name, field in model.model_fields.items())


def keys_at(model: type[BaseModel], path: Sequence[str | int]) -> frozenset[str]:
    """The keys that are known at `path` below a model, of all models that may stand there."""
    models = [model]
    for part in path:
        fields = [field for above in models for name, field in above.model_fields.items() if part == _key(name, field)]
        if fields:  # else it is an index, or a key of a mapping of models
            models = [below for field in fields for below in _models(field)]
    return frozenset(key for found in models for key in keys(found))


def connections_of(options: BaseModel) -> Iterator[tuple[str, str, str]]:
    """The connections that options name: (key, the connection's name, the type it must have)."""
    for name, field in type(options).model_fields.items():
        for mark in field.metadata:
            value = getattr(options, name)
            if isinstance(mark, ConnectionTo) and isinstance(value, str) and value not in mark.words:
                yield _key(name, field), value, mark.type


def words_at(options: BaseModel, key: str) -> frozenset[str]:
    """What may stand at this key in place of a connection's name."""
    marks = (
        mark
        for name, field in type(options).model_fields.items()
        if _key(name, field) == key
        for mark in field.metadata
    )
    return next((mark.words for mark in marks if isinstance(mark, ConnectionTo)), frozenset())


def secret_scalars(model: type[BaseModel], node: Node) -> Iterator[ScalarNode]:
    """The scalars that stand where a model wants a secret; the rest need not be valid."""
    if not _has_secrets(model):
        return
    for name, field in model.model_fields.items():
        below = node if name == "root" else node.get(_key(name, field)) if isinstance(node, MapNode) else None
        if below is None:
            continue
        models = _models(field)
        if _is_secret(field):
            # Where a mapping may stand in a secret's place, its model says what in it is secret.
            yield from (part for part in _parts(below) if isinstance(part, ScalarNode)) if models else scalars(below)
        for nested in models:
            for part in _parts(below):
                yield from secret_scalars(nested, part)


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name


@lru_cache(maxsize=1024)
def _has_secrets(model: type[BaseModel], above: tuple[type[BaseModel], ...] = ()) -> bool:
    return any(
        _is_secret(field)
        or any(_has_secrets(nested, (*above, model)) for nested in _models(field) if nested not in (*above, model))
        for field in model.model_fields.values()
    )


def _is_secret(field: FieldInfo) -> bool:
    return any(issubclass(kind, SecretStr | SecretBytes) for kind in _types(field.annotation))


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    return [kind for kind in _types(field.annotation) if issubclass(kind, BaseModel)]


def _types(annotation: Any) -> Iterator[type]:
    """All classes that an annotation names, at any depth."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _types(argument)


def _parts(node: Node) -> list[Node]:
    """A node and what is right below it: where a model, a list or a mapping of models has its keys."""
    if isinstance(node, MapNode):
        return [node, *(entry.node for entry in node.entries.values())]
    return [node, *node.items] if isinstance(node, ListNode) else [node]
