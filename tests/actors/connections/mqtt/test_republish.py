"""What the broker may have forgotten, and how long it is tried to give it back."""

from dataclasses import dataclass, field

from actors.connections.mqtt import republish
from actors.connections.mqtt.properties import IDEMPOTENCY_KEY
from actors.connections.mqtt.protocol import Publish
from actors.connections.mqtt.republish import PATIENCE_S, TELL_S, Republisher
from actors.core.clock import ManualClock
from actors.core.errors import DeliveryError
from actors.core.events import Event, Events, Notice
from tests.loop import Run

NOBODY_THERE = 0x10
BUSY = 0x89
NOT_AUTHORIZED = 0x87

BACK_AT_ONCE_S = 1.0
"""Longer than the first wait before the next attempt."""


class Untold:
    """Whoever published it, and is told nothing any more."""

    def acknowledged(self, publish: Publish, reason: int) -> None:
        raise AssertionError

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        raise AssertionError


@dataclass
class Broker:
    """Answers what is published again with the same reason, at once; without one it does not answer."""

    reason: int | None = 0
    clock: ManualClock = field(default_factory=ManualClock)
    published: list[str] = field(default_factory=list)
    expiries: list[int | None] = field(default_factory=list)
    unanswered: list[Publish] = field(default_factory=list)
    emitted: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        events = Events()
        events.subscribe(Event, self._emitted)
        self.republisher = Republisher(
            self._send, connection="broker", unnoticed_s=1.0, clock=self.clock, events=events, random=lambda: 0.5
        )
        self.republisher.up()

    def _emitted(self, event: Event) -> None:
        assert isinstance(event, Notice)
        self.emitted.append(event)

    def _send(self, publish: Publish) -> None:
        self.published.append(dict(publish.user_properties)[IDEMPOTENCY_KEY])
        self.expiries.append(publish.expiry_s)
        if self.reason is None:
            self.unanswered.append(publish)
        else:
            publish.done.acknowledged(publish, self.reason)

    def keep(
        self, *ids: str, keep_s: float = 3.0, require_subscriber: bool = True, expiry_s: int | None = None
    ) -> None:
        for id_ in ids:
            publish = Publish("t", b"1234", 1, False, Untold(), [(IDEMPOTENCY_KEY, id_)], expiry_s=expiry_s)
            self.republisher.keep(publish, keep_s, require_subscriber=require_subscriber)

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def restart(self) -> None:
        self.republisher.lost()
        self.republisher.up()

    def taken(self) -> list[str]:
        """What has been published again since the last look."""
        published, self.published = self.published, []
        return published


def test_what_was_acknowledged_shortly_before_is_published_again_in_its_order(run: Run) -> None:
    """What is older the broker has saved; how long it was away does not matter."""

    async def main() -> None:
        broker = Broker()
        broker.keep("old", keep_s=3.0)
        await broker.advance(4.5)
        broker.keep("long", keep_s=10.0)
        broker.keep("new", "newer", keep_s=1.0)
        broker.republisher.lost()
        await broker.advance(3600.0)
        assert broker.taken() == []
        broker.republisher.up()
        assert broker.taken() == ["long", "new", "newer"]
        assert len(broker.republisher) == 0

    run(main())


def test_nothing_is_published_again_long_after_it_was_acknowledged(run: Run) -> None:
    """Also where nothing came after it that would have taken its place."""

    async def main() -> None:
        broker = Broker()
        broker.keep("a", keep_s=3.0)
        await broker.advance(60.0)
        broker.restart()
        assert broker.taken() == []

    run(main())


def test_a_broker_that_is_lost_again_is_given_it_again(run: Run) -> None:
    """The second acknowledgement is no disk either; the window begins anew with it."""

    async def main() -> None:
        broker = Broker()
        broker.keep("a")
        for _ in range(3):
            await broker.advance(2.0)
            broker.restart()
            assert broker.taken() == ["a"]
        await broker.advance(10.0)
        broker.restart()
        assert broker.taken() == []

    run(main())


def test_what_is_not_answered_is_owed_to_the_next_connection(run: Run) -> None:
    """Before what was acknowledged later."""

    async def main() -> None:
        broker = Broker(reason=None)
        broker.keep("a", "b")
        broker.restart()
        assert broker.taken() == ["a", "b"]
        await broker.advance(2.0)
        broker.keep("c")
        broker.republisher.lost()
        for publish in broker.unanswered:
            publish.done.failed(publish, DeliveryError("gone", reason="unknown"))
        await broker.advance(3600.0)
        broker.republisher.up()
        assert broker.taken() == ["a", "b", "c"]

    run(main())


def test_without_a_subscriber_it_is_tried_until_one_comes(run: Run) -> None:
    """Where one is required; otherwise the broker has it, and that is all that is asked for."""

    async def main() -> None:
        broker = Broker(NOBODY_THERE)
        broker.keep("a", "b")
        broker.keep("c", require_subscriber=False)
        broker.restart()
        assert broker.taken() == ["a", "b", "c"]
        await broker.advance(BACK_AT_ONCE_S)
        assert broker.taken()[:2] == ["a", "b"]
        assert len(broker.republisher) == 2
        await broker.advance(PATIENCE_S / 2)
        broker.taken()
        broker.reason = 0
        await broker.advance(republish.AGAIN.max_delay_s)
        assert broker.taken() == ["a", "b"]
        assert len(broker.republisher) == 0
        await broker.advance(PATIENCE_S)
        assert broker.taken() == []
        assert broker.emitted == []

    run(main())


def test_attempts_become_rare(run: Run) -> None:
    """A broker without subscribers is not kept busy."""

    async def main() -> None:
        broker = Broker(NOBODY_THERE)
        broker.keep("a")
        broker.restart()
        await broker.advance(PATIENCE_S)
        assert len(broker.taken()) < 10 + PATIENCE_S / republish.AGAIN.max_delay_s * 1.5

    run(main())


def test_a_busy_broker_is_tried_again_while_it_is_connected(run: Run) -> None:
    """Not only after the next reconnect."""

    async def main() -> None:
        broker = Broker(BUSY)
        broker.keep("a", require_subscriber=False)
        broker.restart()
        assert broker.taken() == ["a"]
        broker.reason = 0
        await broker.advance(BACK_AT_ONCE_S)
        assert broker.taken() == ["a"]
        assert len(broker.republisher) == 0

    run(main())


def test_what_no_subscriber_comes_for_is_given_up_by_name(run: Run) -> None:
    """In one event, since somebody has to act."""

    async def main() -> None:
        broker = Broker(NOBODY_THERE)
        broker.keep("a", "b", "c")
        broker.restart()
        await broker.advance(PATIENCE_S - 1)
        assert broker.emitted == []
        await broker.advance(republish.AGAIN.max_delay_s + 2)
        (notice,) = broker.emitted
        assert notice.level == "error"
        assert "3 messages" in notice.text
        assert "no matching subscribers" in notice.text
        assert dict(notice.fields)["ids"] == "a b c"
        assert len(broker.republisher) == 0

    run(main())


def test_a_reconnect_begins_the_patience_anew(run: Run) -> None:
    """Subscribers, too, may have been cut off again."""

    async def main() -> None:
        broker = Broker(NOBODY_THERE)
        broker.keep("a")
        for _ in range(3):
            broker.restart()
            await broker.advance(PATIENCE_S - 1)
        assert broker.emitted == []
        assert len(broker.republisher) == 1

    run(main())


def test_what_no_repetition_changes_is_given_up_at_once(run: Run) -> None:
    """A refusal for good, or a packet that the broker would not take any more."""

    async def main() -> None:
        broker = Broker(NOT_AUTHORIZED)
        broker.keep("a")
        broker.restart()
        broker.reason = None
        broker.keep("b")
        broker.restart()
        (publish,) = broker.unanswered
        publish.done.failed(publish, DeliveryError("too large", reason="refused", retryable=False))
        await broker.advance(TELL_S)
        assert broker.taken() == ["a", "b"]
        (notice,) = broker.emitted
        assert (notice.level, dict(notice.fields)["ids"]) == ("error", "a b")

    run(main())


def test_a_message_that_expires_meanwhile_is_left_out(run: Run) -> None:
    """And one that does not takes along what is left of its time."""

    async def main() -> None:
        broker = Broker()
        broker.keep("short", expiry_s=10)
        broker.keep("long", expiry_s=60)
        broker.republisher.lost()
        await broker.advance(20.0)
        broker.republisher.up()
        assert (broker.taken(), broker.expiries) == (["long"], [40])

    run(main())


def test_more_than_memory_allows_is_left_out_and_told(run: Run) -> None:
    """What was acknowledged first goes; what the broker is known to lack stays."""

    async def main() -> None:
        broker = Broker(NOBODY_THERE)
        broker.keep("owed")
        broker.restart()
        half = b"x" * (republish.KEPT_BYTES // 2)
        for id_ in ("first", "second", "third"):
            publish = Publish("t", half, 1, False, Untold(), [(IDEMPOTENCY_KEY, id_)])
            broker.republisher.keep(publish, 60.0, require_subscriber=False)
        (notice,) = broker.emitted
        assert notice.level == "warning"
        broker.taken()
        broker.restart()
        assert broker.taken() == ["owed", "third"]

    run(main())


def test_what_is_owed_at_the_end_is_told(run: Run) -> None:
    """Of what was only acknowledged recently nothing is to be said."""

    async def main() -> None:
        broker = Broker(NOBODY_THERE)
        broker.keep("a")
        broker.restart()
        broker.keep("recent")
        broker.republisher.close()
        (notice,) = broker.emitted
        assert (notice.level, dict(notice.fields)["ids"]) == ("error", "a")
        await broker.advance(PATIENCE_S)
        assert broker.taken() == ["a"]

    run(main())


def test_while_the_broker_is_away_the_end_is_only_a_warning(run: Run) -> None:
    """It may have forgotten nothing."""

    async def main() -> None:
        broker = Broker()
        broker.keep("a")
        broker.republisher.lost()
        broker.republisher.close()
        (notice,) = broker.emitted
        assert (notice.level, dict(notice.fields)["ids"]) == ("warning", "a")

    run(main())
