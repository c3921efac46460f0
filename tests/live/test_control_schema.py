"""The control API does what its OpenAPI document says, whatever is asked of it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from hypothesis import HealthCheck, given, settings

from router.control.operation import NDJSON
from tests.loop import Run
from tests.router.control.sample_router import running

TOKEN: Final = "0123456789abcdef-admin"
CONTROL: Final = f", control: {{listen: '127.0.0.1:0', tokens: {{admin: '{TOKEN}'}}}}"
QUEUE: Final = "/v1/queues/{name}"
EXAMPLES: Final = 10
"""Requests for each operation, some as the document wants them and some not."""
CHECKED: Final = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
)

TOPOLOGY = """
actors:
  door: {type: door}
  well: {type: sink}
  ill: {type: sink, does: reject}
  away: {type: sink, away: true}
  inbound: {type: queue, queue: tania-messages}
routes:
  open: {from: door, to: well}
  stuck: {from: door, to: ill}
"""


def no_defect(context: Any, response: Any, case: Any) -> None:
    """A target that is away is answered with 503; what is not foreseen with 500."""
    assert response.status_code != 500, response.text


def about_a_queue(case: Any) -> Any:
    """Of one that is there: no name that is made up is that of a queue."""
    case.path_parameters["name"] = "inbound"
    return case


def test_whatever_is_asked_the_answer_is_as_the_document_says(run: Run) -> None:
    """Status, media type, headers and document; with valid requests and with broken ones."""

    async def scenario() -> None:
        async with running(TOPOLOGY, settings=CONTROL) as client:
            for _ in range(3):
                await client.post("/v1/actors/door/messages", {"data": {"token": "t", "n": 1}, "wait": True})
            document = (await client.get("/v1/openapi.json")).document
            url = next(address for what, address in client.control.listening() if address.startswith("http"))
            await asyncio.to_thread(ask_everything, document, url)
            assert not client.engine.stopping

    run(scenario(), deadline_s=100.0)


def ask_everything(document: dict[str, Any], url: str) -> None:
    import schemathesis
    from schemathesis.checks import CHECKS, load_all_checks
    from schemathesis.core.result import Ok
    from schemathesis.generation import GenerationMode

    load_all_checks()
    checks = [no_defect, *CHECKS.get_by_names(CHECKED)]
    schema = schemathesis.openapi.from_dict(document)
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if NDJSON in operation.definition.raw["responses"]["200"]["content"]:
            continue  # it does not end
        breakable = operation.definition.raw["parameters"] or "requestBody" in operation.definition.raw
        for mode in GenerationMode if breakable else (GenerationMode.POSITIVE,):
            cases = operation.as_strategy(generation_mode=mode)
            if mode is GenerationMode.POSITIVE and operation.path.startswith(QUEUE):
                cases = cases.map(about_a_queue)

            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(case=cases)
            def ask(case: Any) -> None:
                case.call_and_validate(
                    base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, checks=checks, timeout=10.0
                )

            ask()
            asked += 1
    assert asked > len(document["paths"])
