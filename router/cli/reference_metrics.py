"""The page of all metrics in docs/reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from router.cli.markdown import table
from router.telemetry.families import reference

_INTRODUCTION: Final = """\
`GET /metrics` answers in the text format of Prometheus, or in OpenMetrics where `Accept` asks for it. Labels are names
of the topology and words of the router alone: what comes with messages makes no series, and the series of an actor or a
route end with it. Counters are of one process, and of an actor since a change put it in the place of another."""


def metrics() -> Iterator[str]:
    """The lines of the page."""
    yield from _INTRODUCTION.splitlines()
    yield ""
    rows = [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), text)
        for name, kind, labels, text in reference()
    ]
    yield from table(("", "kind", "labels", ""), rows)
