"""Finds the types there are: files of `actors.endpoints` and `actors.steps`, packages of `actors.connections`,
and entry points.

A type is imported when somebody asks for it, and not before: a topology pays only for what it uses.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Generic, TypeVar

from actors.core.connection import CONNECTION, ConnectionSpec
from actors.core.errors import RouterError
from actors.core.spec import ENDPOINT, EndpointSpec
from actors.core.step import STEP, StepSpec

S = TypeVar("S")

ENDPOINTS: Final = "actors.endpoints"
STEPS: Final = "actors.steps"
CONNECTIONS: Final = "actors.connections"
ACTOR_GROUP: Final = "router.actors"
"""The entry-point group of endpoint types that other packages bring: name = "package.module:Class"."""
STEP_GROUP: Final = "router.steps"
CONNECTION_GROUP: Final = "router.connections"

Finder = Callable[[], S]


class CatalogError(RouterError):
    """A type is known by name and cannot be used: its module does not import, or holds no such type."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class Shelf(Generic[S]):
    """The types of one kind by name; each is found when it is first asked for."""

    def __init__(
        self, known: Mapping[str, Finder[S]], more: Callable[[], Mapping[str, Finder[S]]] | None = None
    ) -> None:
        self._known = dict(known)
        self._more = more
        self._found: dict[str, S] = {}

    def names(self) -> tuple[str, ...]:
        """All names, sorted; nothing is imported."""
        self._look_further()
        return tuple(sorted(self._known))

    def __contains__(self, name: str) -> bool:
        if name not in self._known:
            self._look_further()
        return name in self._known

    def __getitem__(self, name: str) -> S:
        if name not in self._found:
            if name not in self:
                raise KeyError(name)
            self._found[name] = self._known[name]()
        return self._found[name]

    def _look_further(self) -> None:
        """Reading the installed packages' entry points takes some 10 ms, which most files can do without."""
        if self._more is not None:
            more, self._more = self._more, None
            self._known = {**more(), **self._known}


class Catalog:
    """What `type:` and a step's key can name.

    `Catalog()` holds just what it is given, for tests and for embedding; `Catalog.installed()` finds what is
    there. A name of this package wins over an entry point's.
    """

    def __init__(
        self,
        *,
        endpoints: Iterable[EndpointSpec | type[Any]] = (),
        steps: Iterable[StepSpec | type[Any]] = (),
        connections: Iterable[ConnectionSpec | type[Any]] = (),
    ) -> None:
        self.endpoints: Shelf[EndpointSpec] = Shelf(_given(endpoints, EndpointSpec, ENDPOINT))
        self.steps: Shelf[StepSpec] = Shelf(_given(steps, StepSpec, STEP))
        self.connections: Shelf[ConnectionSpec] = Shelf(_given(connections, ConnectionSpec, CONNECTION))

    @classmethod
    def installed(cls) -> Catalog:
        """The types of this package and of all that is installed beside it."""
        catalog = cls()
        catalog.endpoints = _installed(ENDPOINTS, ACTOR_GROUP, EndpointSpec, ENDPOINT)
        catalog.steps = _installed(STEPS, STEP_GROUP, StepSpec, STEP)
        # There, files are what types share among themselves.
        catalog.connections = _installed(CONNECTIONS, CONNECTION_GROUP, ConnectionSpec, CONNECTION, packages=True)
        return catalog

    def endpoint_names(self) -> tuple[str, ...]:
        """All actor types, sorted; nothing is imported."""
        return self.endpoints.names()

    def endpoint(self, name: str) -> EndpointSpec:
        """The actor type `name`; KeyError where there is none, `CatalogError` where it cannot be imported."""
        return self.endpoints[name]

    def step_names(self) -> tuple[str, ...]:
        """All steps, sorted; nothing is imported."""
        return self.steps.names()

    def step(self, name: str) -> StepSpec:
        """The step `name`; KeyError where there is none, `CatalogError` where it cannot be imported."""
        return self.steps[name]

    def connection_names(self) -> tuple[str, ...]:
        """All connection types, sorted; nothing is imported."""
        return self.connections.names()

    def connection(self, name: str) -> ConnectionSpec:
        """The connection type `name`; KeyError where there is none, `CatalogError` where it cannot be imported."""
        return self.connections[name]


def _given(items: Iterable[Any], kind: type[S], attribute: str) -> dict[str, Finder[S]]:
    specs: list[Any] = [item if isinstance(item, kind) else getattr(item, attribute) for item in items]
    return {spec.name: partial(_itself, spec) for spec in specs}


def _itself(spec: S) -> S:
    return spec


def _installed(package: str, group: str, kind: type[S], attribute: str, *, packages: bool = False) -> Shelf[S]:
    folder = importlib.import_module(package).__path__
    known: dict[str, Finder[S]] = {}
    for module in pkgutil.iter_modules(folder):
        if not module.name.startswith("_") and (module.ispkg or not packages):
            name = module.name.replace("_", "-")
            known[name] = _from_module(f"{package}.{module.name}", name, kind, attribute)
    return Shelf(known, lambda: _entry_points(group, kind, attribute))


def _from_module(path: str, name: str, kind: type[S], attribute: str) -> Finder[S]:
    def find() -> S:
        try:
            module = importlib.import_module(path)
        except Exception as error:
            raise CatalogError(f"{path} cannot be imported: {error}", name=name) from error
        for value in vars(module).values():
            spec = vars(value).get(attribute) if isinstance(value, type) else None
            if isinstance(spec, kind) and getattr(spec, "name", None) == name:
                return spec
        raise CatalogError(f"{path} holds no type named '{name}'", name=name)

    return find


def _entry_points(group: str, kind: type[S], attribute: str) -> dict[str, Finder[S]]:
    from importlib.metadata import EntryPoint, entry_points

    def finder(entry: EntryPoint) -> Finder[S]:
        def find() -> S:
            try:
                value = entry.load()
            except Exception as error:
                raise CatalogError(f"{entry.value} cannot be imported: {error}", name=entry.name) from error
            spec = getattr(value, attribute, None)
            if not isinstance(spec, kind):
                raise CatalogError(f"{entry.value} is not registered as a type", name=entry.name)
            return spec

        return find

    return {entry.name: finder(entry) for entry in entry_points(group=group)}
