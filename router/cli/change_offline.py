"""What `apply` would do, without asking a router: one file against another, or against what ran last."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from actors.core.errors import StorageError
from router.catalog import Catalog
from router.change.diff import diff
from router.change.impact import impact
from router.change.left_behind import uncounted
from router.cli import problems
from router.cli.client import Json
from router.cli.failure import TOPOLOGY_PROBLEMS, Failure
from router.store.revisions import last_confirmed_in
from router.store.state_dir import StateDir
from router.topology.check import check
from router.topology.model import Topology


def planned(file: Path, *, against: Path | None, state_dir: Path | None) -> Json:
    """As the control API answers `plan`; problems are shown, and end the command."""
    topology = _read(file)
    revision = None
    if against is not None:
        before: Topology | None = _read(against)
    else:
        folder = state_dir or topology.directory / topology.settings.state_dir
        before, revision = _last(folder)
    change = diff(before, topology)
    plan = impact(change, None, uncounted(change)).as_dict()
    return {"revision": revision, "plan": plan, "warnings": []}


def _read(file: Path) -> Topology:
    topology, found = problems.read(file)
    problems.show(found)
    if topology is None:
        raise typer.Exit(TOPOLOGY_PROBLEMS)
    return topology


def _last(state_dir: Path) -> tuple[Topology | None, int | None]:
    """What ran last, and its number; nothing where nothing ever did."""
    try:
        revision = last_confirmed_in(StateDir(state_dir).database)
    except StorageError as error:
        hint = "a router runs there: leave --offline out, or compare with a file: --against FILE"
        raise Failure(str(error), hint=hint) from None
    if revision is None:
        return None, None
    path = Path(revision.path or "topology.yaml")
    topology, found = check(revision.text, path=path, catalog=Catalog.installed(), environ=os.environ)
    if topology is None:
        problems.show(found)
        hint = "set what it needs, or compare with a file: --against FILE"
        raise Failure(f"revision {revision.number} has problems here", hint=hint, code=TOPOLOGY_PROBLEMS)
    return topology, revision.number
