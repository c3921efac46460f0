"""Metrics are read from what runs when somebody asks, add up, and are named as Prometheus wants it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from actors.core.events import AttemptFailed, ChangeEnded, Events, MessageDeadLettered, MessageLost, RouteSuspended
from actors.core.message import OUTCOMES
from router.telemetry.families import reference
from router.telemetry.metrics import RouterCollector
from router.telemetry.mqtt import REFERENCE as MQTT
from router.telemetry.queues import REFERENCE as QUEUES
from router.telemetry.reading import EventCounts
from tests.loop import Run
from tests.router.control.sample_router import HEAD, Changing, running

TOPOLOGY = """
actors:
  door: {type: door}
  well: {type: sink}
  ill: {type: sink, does: refuse}
  never: {type: sink, does: reject}
  off: {type: sink, enabled: false}
routes:
  to-well: {from: door, to: well}
  to-ill: {from: door, to: ill, durable: true}
  to-never: {from: door, to: never}
"""


class Samples:
    """The values of some metrics, by name and labels."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.names: set[str] = set()
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for metric in metrics:
            for sample in metric.samples:
                self.names.add(sample.name)
                self._values[sample.name, frozenset(sample.labels.items())] = sample.value

    def value(self, name: str, **labels: str) -> float:
        return self._values[name, frozenset(labels.items())]

    def labels(self, label: str) -> set[str]:
        return {dict(labels)[label] for _, labels in self._values if label in dict(labels)}


def test_a_scrape_tells_what_has_happened(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for _ in range(3):
                await client.post("/v1/actors/door/messages", {"data": 1, "wait": True, "timeout_s": 0.01})
            await client.get_until("/v1/actors/to-never", lambda route: route["ledger"]["dead_lettered"] == 3)
            await client.get_until("/v1/actors/to-ill", lambda route: route["retrying"] == 3)
            samples = Samples(parse((await client.get("/metrics")).text))

        assert samples.value("router_actor_state", actor="well", state="ready") == 1
        assert samples.value("router_actor_state", actor="off", state="disabled") == 1
        assert samples.value("router_actor_state", actor="off", state="ready") == 0
        assert samples.value("router_actor_available", actor="off") == 0
        assert samples.value("router_actor_deliveries_total", actor="well", outcome="succeeded") == 3
        assert samples.value("router_actor_deliveries_total", actor="ill", outcome="refused") == 3
        assert samples.value("router_actor_mailbox_capacity", actor="well") == 1000
        assert samples.value("router_actor_mailbox_high_water", actor="well") >= 1
        assert samples.value("router_route_messages_total", route="to-well", outcome="delivered") == 3
        assert samples.value("router_route_messages_total", route="to-never", outcome="dead_lettered") == 3
        assert samples.value("router_route_retrying", route="to-ill") == 3
        assert samples.value("router_route_in_flight", route="to-ill") == 3
        assert samples.value("router_route_retries_total", route="to-ill") == 3
        assert samples.value("router_journal_rows") == 3
        assert samples.value("router_journal_bytes") > 3
        assert samples.value("router_dead_letters") == 3
        failures = {"route": "to-ill", "target": "ill", "reason": "refused"}
        assert samples.value("router_route_attempt_failures_total", **failures) == 3
        assert samples.value("router_route_dead_lettered_total", route="to-never", reason="refused") == 3
        assert samples.value("router_messages_lost_total") == 0

    run(scenario())


def test_the_ledger_adds_up_in_one_scrape(run: Run) -> None:
    """All of a scrape is one turn of the loop, so that both sides of each route are equal."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for _ in range(5):
                await client.post("/v1/actors/door/messages", {"data": 1, "wait": True, "timeout_s": 0.001})
            await client.get_until("/v1/actors/to-ill", lambda route: route["ledger"]["accepted"] == 5)
            samples = Samples(parse((await client.get("/metrics")).text))
        for route in ("to-well", "to-ill", "to-never"):
            came = samples.value("router_route_accepted_total", route=route)
            came += samples.value("router_route_split_out_total", route=route)
            ended = sum(samples.value("router_route_messages_total", route=route, outcome=one) for one in OUTCOMES)
            here = samples.value("router_route_queued", route=route)
            here += samples.value("router_route_in_flight", route=route)
            assert came == 5
            assert came == ended + here
            assert samples.value("router_route_ledger_difference", route=route) == 0

    run(scenario())


def test_everything_in_the_reference_is_scraped_and_the_reverse(run: Run) -> None:
    """The reference page is made from what the scrape is made from."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await client.post("/v1/actors/door/messages", {"data": 1, "wait": True, "timeout_s": 0.01})
            await client.get_until("/v1/actors/to-never", lambda route: route["ledger"]["dead_lettered"] == 1)
            await client.get_until("/v1/actors/to-ill", lambda route: route["retrying"] == 1)
            names = Samples(parse((await client.get("/metrics")).text)).names
        scraped = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
        known = {name for name, _, _, _ in reference()}
        assert scraped <= known
        events = {"router_route_suspensions_total", "router_changes_total", "router_changes_gap_seconds_total"}
        absent = {name for name, _, _, _ in (*MQTT, *QUEUES)}  # no actor of this router has any of it
        assert known - scraped == events | absent

    run(scenario())


def test_names_are_as_prometheus_wants_them() -> None:
    """Counters end in `_total`, nothing else does; units are base units; every metric says what it is."""
    for name, kind, labels, text in reference():
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|millis|kb|mb)(_|$)", name), name
        assert text.endswith("."), name
        assert all(re.fullmatch(r"[a-z]+", label) for label in labels), name
    names = [name for name, _, _, _ in reference()]
    assert len(names) == len(set(names))


def test_labels_are_names_of_the_topology_alone(run: Run) -> None:
    """What clients send makes no series, and neither do the actors that run routes."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            await client.post("/v1/actors/door/messages", {"data": 1, "id": "an-id", "key": "a-key", "type": "a-type"})
            text = (await client.get("/metrics")).text
        samples = Samples(parse(text))
        assert samples.labels("actor") == {"door", "well", "ill", "never", "off"}
        assert samples.labels("route") == {"to-well", "to-ill", "to-never"}
        assert not {"an-id", "a-key", "a-type"} & set(re.findall(r'"([^"]*)"', text))

    run(scenario())


def test_openmetrics_is_spoken_where_it_is_asked_for(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
            answered = await client.get("/metrics", headers=accept)
        assert answered.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answered.text.endswith("# EOF\n")
        metrics = parse_openmetrics(answered.text)  # type: ignore[no-untyped-call]  # it has no annotations
        assert "router_info" in Samples(metrics).names

    run(scenario())


def test_the_process_is_measured_and_python_is_not(run: Run) -> None:
    """Memory, CPU and files; the garbage collector's figures are of no use to an operator."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            names = Samples(parse((await client.get("/metrics")).text)).names
        assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= names
        assert not [name for name in names if name.startswith("python_")]

    run(scenario())


def test_the_collector_can_be_registered_elsewhere(run: Run) -> None:
    """Whoever embeds a router may have a registry already."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            registry = CollectorRegistry()
            registry.register(RouterCollector(client.engine, client.control.metrics.counts))
            state = registry.get_sample_value("router_actor_state", {"actor": "well", "state": "ready"})
        assert state == 1

    run(scenario())


def test_latencies_are_a_histogram_of_all_that_have_ended(run: Run) -> None:
    """Each once, however often somebody scrapes; its count is what the ledger says has ended."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            for _ in range(3):
                await client.post("/v1/actors/door/messages", {"data": 1, "wait": True, "timeout_s": 0.01})
                await client.get("/metrics")
            await client.get_until("/v1/actors/to-never", lambda route: route["ledger"]["dead_lettered"] == 3)
            samples = Samples(parse((await client.get("/metrics")).text))
        latency = "router_route_latency_seconds"
        for route, ended in (("to-well", 3), ("to-never", 3), ("to-ill", 0)):
            assert samples.value(f"{latency}_count", route=route) == ended
            assert samples.value(f"{latency}_bucket", route=route, le="+Inf") == ended
            assert samples.value(f"{latency}_bucket", route=route, le="10.0") == ended
        assert 0 < samples.value(f"{latency}_sum", route="to-never") < 10

    run(scenario())


def test_changes_and_pauses_are_told_and_what_is_gone_has_no_series(run: Run) -> None:
    smaller = "actors: {door: {type: door}, well: {type: sink}}\nroutes: {to-well: {from: door, to: well}}\n"

    async def scenario() -> None:
        async with running(TOPOLOGY, engine=Changing) as client:
            await client.post("/v1/actors/to-ill/pause", {})
            before = Samples(parse((await client.get("/metrics")).text))
            await client.post("/v1/actors/door/messages", {"data": 1})
            wanted = {"text": HEAD % "" + smaller, "path": "/t/sample.yaml"}
            assert (await client.post("/v1/apply", {**wanted, "base": 99})).status == 409
            assert (await client.post("/v1/apply", wanted)).status == 200
            after = Samples(parse((await client.get("/metrics")).text))
        assert before.value("router_route_paused", route="to-ill", state="paused") == 1
        assert before.value("router_route_paused", route="to-ill", state="drained") == 0
        assert before.value("router_route_paused", route="to-well", state="paused") == 0
        assert after.value("router_changes_total", action="apply", outcome="done") == 1
        assert after.value("router_changes_total", action="apply", outcome="failed") == 1
        assert after.value("router_revision") == before.value("router_revision") + 1
        assert after.labels("route") == {"to-well"}
        assert after.labels("actor") == {"door", "well"}

    run(scenario())


def test_events_are_counted_by_what_the_topology_bounds() -> None:
    events = Events()
    counts = EventCounts(events)
    for number in range(3):
        events.emit(AttemptFailed("r", "t", f"m{number}", 1, "connect", f"error {number}", None))
        events.emit(MessageDeadLettered("r", "t", f"m{number}", "connect", f"error {number}"))
    events.emit(MessageDeadLettered("", None, "m", "unroutable", "no route"))
    events.emit(RouteSuspended("r", "t", "away"))
    events.emit(MessageLost("m"))
    assert counts.attempt_failures == {("r", "t", "connect"): 3}
    assert counts.dead_lettered == {("r", "connect"): 3, ("", "unroutable"): 1}
    assert counts.suspensions == {"r": 1}
    assert counts.lost == 1


def test_routes_that_are_gone_are_forgotten() -> None:
    """Changing a topology for years does not collect names."""
    events = Events()
    counts = EventCounts(events)
    for route in ("old", "new"):
        events.emit(AttemptFailed(route, "t", "m", 1, "connect", "no", None))
        events.emit(RouteSuspended(route, "t", "away"))
        events.emit(MessageDeadLettered(route, "t", "m", "connect", "no"))
    events.emit(AttemptFailed("new", "gone", "m", 1, "connect", "no", None))
    events.emit(ChangeEnded("apply", 2, 1.0, 3, (("t", 0.5), ("gone", 0.1))))
    counts.forget_others({"new": None}, {"t": None})
    assert counts.attempt_failures == {("new", "t", "connect"): 1}
    assert counts.gaps == {"t": 0.5}
    assert counts.moved == 3
    assert counts.suspensions == {"new": 1}
    assert counts.dead_lettered == {("new", "connect"): 1}


def test_what_is_closed_counts_no_more() -> None:
    events = Events()
    counts = EventCounts(events)
    counts.close()
    events.emit(MessageLost("m"))
    assert counts.lost == 0
