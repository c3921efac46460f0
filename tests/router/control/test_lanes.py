"""Each message of a route is in exactly one lane, found without being taken."""

from __future__ import annotations

import asyncio

from actors.core.clock import ManualClock
from actors.core.mailbox import Envelope, Mailbox
from actors.core.message import Message
from router.control import lanes
from router.control.lanes import Entry
from router.control.mailbox_view import Scales, mailbox_view, reply_view, whole_message
from router.telemetry.shown import Redaction
from tests.loop import Run
from tests.router.control.sample_router import running

TOPOLOGY = """
actors:
  door: {type: door}
  ill: {type: sink, does: refuse}
  well: {type: sink}
  slow: {type: sink, does: hold}
routes:
  wide: {from: door, to: [ill, well, slow], concurrency: 10}
"""


def test_each_way_of_a_fan_out_is_in_the_lane_it_is_in(run: Run) -> None:
    """The parent of the ways is not shown beside them, though the ledger counts it."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            route = client.engine.routes["wide"]
            await client.post("/v1/actors/door/messages", {"data": 1, "id": "m", "timeout_s": 0.01})
            await client.get_until("/v1/actors/wide", lambda view: view["retrying"])
            found = [(entry.lane, entry.state, lanes.next_target(entry.envelope)) for entry in lanes.of_route(route)]
            assert sorted(found, key=str) == [
                ("in_flight", "attempting", "slow"),
                ("retrying", "retrying", "ill"),
            ]
            assert route.balance().in_flight == 1
            await client.post("/v1/actors/slow/messages", {"data": "go"})

    run(scenario())


def message(number: int, data: object = None) -> Message:
    return Message(f"m{number}", "s", data, time=1_000.0)


def test_a_mailbox_is_looked_into_from_its_oldest() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        mailbox = Mailbox("a", now=clock.now, capacity=2)
        for number in range(3):
            mailbox.offer(Envelope(message(number), None, clock.now()))
        entries = [Entry("waiting", "queued", envelope) for envelope in mailbox]
        view = mailbox_view("a", entries, limit=1, redaction=Redaction(), now=5.0, wall=1_002.0)
        assert [one["id"] for one in view["waiting"]] == ["m0"]
        assert view["waiting"][0]["age_s"] == 2.0
        assert view["counts"]["waiting"] == 2
        assert len(mailbox) == 2
        assert len(mailbox.lobby) == 1

    asyncio.run(scenario())


def test_what_is_no_message_is_shown_by_its_type() -> None:
    """Pykka's proxies put calls into mailboxes."""
    entry = Entry("waiting", "queued", Envelope({"a": 1}, None, 3.0))
    view = mailbox_view("a", [entry], limit=1, redaction=Redaction(), now=5.0, wall=1_000.0)
    (shown,) = view["waiting"]
    assert (shown["id"], shown["size"], shown["preview"], shown["age_s"]) == (None, None, "<dict>", 2.0)


def test_sizes_are_measured_until_that_has_taken_long_enough() -> None:
    """Packing what waits in a full mailbox would hold the loop."""
    scales = Scales(budget_bytes=1_000)
    sizes = [scales.size(message(number, "x" * 600)) for number in range(3)]
    assert sizes == [len(message(0, "x" * 600).to_bytes())] * 2 + [None]


def test_what_cannot_be_packed_has_no_size() -> None:
    assert Scales().size(message(1, object())) is None


def test_bytes_are_shown_as_text_or_in_base64() -> None:
    text = whole_message(message(1, b"caf\xc3\xa9"), Redaction())
    raw = whole_message(message(1, b"\xff"), Redaction())
    assert text["data"] == "café"
    assert (raw["data_base64"], "data" in raw) == ("/w==", False)


def test_a_reply_is_not_masked() -> None:
    """It is data for whoever asked; a plain value is a reply with status 200."""
    assert reply_view({"token": "t"}) == {"data": {"token": "t"}, "status": 200, "headers": {}, "content_type": None}
    assert reply_view(None) is None
