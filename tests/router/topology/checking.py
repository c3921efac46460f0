"""Checks texts with the sample types, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from router.topology.check import check
from router.topology.model import Topology
from router.topology.problems import Problem, render
from tests.router.topology.sample_types import sample_catalog

HEAD = "router: 1\nname: test\n"


def problems_of(text: str, environ: Mapping[str, str] | None = None, path: Path = Path("t.yaml")) -> list[Problem]:
    """What is wrong with a file that has its first two lines; it is shown too, which must not fail."""
    _, problems = check(HEAD + text, path=path, catalog=sample_catalog(), environ=environ or {})
    assert all(render(problem) for problem in problems)
    return problems


def told(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The same in short: the marked part of the line, the message, the suggestion."""
    return [brief(problem) for problem in problems_of(text, environ)]


def brief(problem: Problem) -> str:
    start = problem.column - 1
    marked = problem.source[start : start + problem.length]
    suggestion = f" ({problem.suggestion})" if problem.suggestion else ""
    warning = "warning: " if problem.severity == "warning" else ""
    return f"{marked} | {warning}{problem.message}{suggestion}"


def topology_of(text: str, environ: Mapping[str, str] | None = None, path: Path = Path("t.yaml")) -> Topology:
    """The topology of a file without errors that has its first two lines."""
    topology, problems = check(HEAD + text, path=path, catalog=sample_catalog(), environ=environ or {})
    assert topology is not None, "\n".join(map(render, problems))
    return topology
