"""The page of the control API in docs/reference: its operations, and what they take and answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from router.cli.markdown import table
from router.cli.option_rows import Row, rows_of
from router.control.openapi import statuses_of
from router.control.operation import Operation
from router.control.server import ControlServer
from router.engine import Engine
from router.topology.model import Topology
from router.topology.settings import Settings

_INTRODUCTION: Final = """\
HTTP and JSON, on the Unix socket `control.sock` in the state directory, where who can open it is an admin, and by TCP
where [`settings.control`](topology.md#settings) says so: there a request bears one of its tokens, `Authorization:
Bearer …`. `GET /v1/openapi.json` is this page for machines (OpenAPI 3.1).

What a role may, those behind it may too: `viewer`, `operator`, `admin`. What goes wrong is answered with problem
details (RFC 9457, `application/problem+json`): `detail` says it in a sentence, `errors` all that is wrong with a
request, and `suggestion` what may have been meant."""


def control_api() -> Iterator[str]:
    """The lines of the page."""
    operations = asyncio.run(_operations())
    yield from _INTRODUCTION.splitlines()
    yield ""
    rows = [(f"`{each.method} {each.path}`", each.role or "everybody", each.summary) for each in operations]
    yield from table(("", "role", ""), rows)
    for operation in operations:
        yield from _section(operation)


async def _operations() -> tuple[Operation, ...]:
    """Those of a router that has nothing to run, and is not started."""
    engine = Engine(Topology(name="reference", settings=Settings(), actors={}, routes={}, path=Path("reference.yaml")))
    server = ControlServer(engine)
    server.metrics.close()
    return server.operations


def _section(operation: Operation) -> Iterator[str]:
    yield ""
    yield f"## {operation.method} {operation.path}"
    yield ""
    audited = f" It goes into the audit log as `{operation.change.action}`." if operation.change is not None else ""
    yield f"For {operation.role or 'everybody'}.{audited}"
    yield ""
    yield f"{operation.summary}. {operation.description}".strip()
    for title, model in (("parameter", operation.query), ("body", operation.body)):
        if model is not None and (rows := rows_of(model)):
            yield ""
            yield from _fields(title, rows)
    for answer in dict.fromkeys(operation.answers.values()):
        yield ""
        yield from _answer([status for status, other in operation.answers.items() if other is answer], answer)
    yield ""
    problems = ", ".join(f"{status} {HTTPStatus(status).phrase}" for status in statuses_of(operation))
    yield f"Problems: {problems}."


def _answer(statuses: list[int], answer: type[BaseModel] | str) -> Iterator[str]:
    shown = ", ".join(f"**{status}**" for status in statuses)
    if isinstance(answer, str):
        yield f"{shown}: `{answer}`."
        return
    yield f"{shown}: {' '.join((answer.__doc__ or '').split())}"
    if rows := rows_of(answer):
        yield ""
        yield from _fields("member", rows)


def _fields(title: str, rows: list[Row]) -> Iterator[str]:
    written = [
        (f"`{row.name}`", row.type + (", **required**" if row.required and title != "member" else ""), row.description)
        for row in rows
    ]
    yield from table((title, "type", ""), written)
