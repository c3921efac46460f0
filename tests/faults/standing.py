"""Which topology a router runs: by its revisions, and by what it shows."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML

from tests.faults.rewrites import Document
from tests.faults.router_process import RouterProcess


async def running_revision(router: RouterProcess) -> tuple[int, Document]:
    """The number of the one that runs, and what it says."""
    number = (await router.get("/v1/revisions?limit=1"))["running"]
    text = (await router.get(f"/v1/revisions/{number}"))["text"]
    document: Document = YAML(typ="safe").load(text)
    return number, document


async def mixtures(router: RouterProcess, document: Document) -> list[str]:
    """A sentence where something of another topology is there, or something of this one is missing or not ready."""
    view = await router.get("/v1/actors")
    actors = {actor["name"]: actor["state"] for actor in view["actors"]}
    routes = {route["name"]: sorted(route["targets"]) for route in view["routes"]}
    found = []
    if actors != (wanted := dict.fromkeys(document["actors"], "ready")):
        found.append(f"a mixture: actors {actors}, and not {wanted}")
    if routes != (leading := {name: sorted(_targets(each["to"])) for name, each in document["routes"].items()}):
        found.append(f"a mixture: routes {routes}, and not {leading}")
    return found


def _targets(to: Any) -> list[str]:
    """The actors that a route's `to` leads to."""
    return list(to["split"]) if isinstance(to, dict) else [to]
