"""A file of 2,000 actors and 2,000 routes is loaded and checked."""

from __future__ import annotations

import time
from pathlib import Path

from bench.measure import Figure, Result, alternate
from router.catalog import Catalog
from router.topology.check import check

SIZE = 2_000


def text() -> str:
    """The file: each actor and each route in a form that a person would write."""
    actors = "".join(
        f"  in-{n}: {{type: webhook, path: /in/{n}}}\n"
        if n % 2
        else f'  out-{n}: {{type: http, url: "http://127.0.0.1:9/{{{{ data.id }}}}"}}\n'
        for n in range(SIZE)
    )
    routes = "".join(
        f"  route-{n}:\n"
        f"    from: in-{n - n % 2 + 1}\n"
        f"    when: \"data.kind == 'k{n}' and data.level > {n}\"\n"
        f'    order_by: "{{{{ data.id }}}}"\n'
        f"    to: out-{n - n % 2}\n"
        for n in range(SIZE)
    )
    return f"router: 1\nname: large\nactors:\n{actors}routes:\n{routes}"


def run(*, rounds: int) -> Result:
    source = text()

    def measure() -> Figure:
        started = time.perf_counter()
        topology, problems = check(source, path=Path("topology.yaml"), catalog=Catalog.installed(), environ={})
        elapsed = time.perf_counter() - started
        assert topology is not None, problems
        return Figure(elapsed)

    return Result("validate", "s", alternate({"check": measure}, rounds=rounds)["check"].value, {}, better="lower")
