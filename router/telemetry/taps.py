"""Live copies of messages, for whoever listens: sampled, bounded, and at no cost while nobody does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from actors.core.child import Child
from actors.core.clock import Clock
from actors.core.events import Events, RevisionSwitched
from actors.core.message import Message, Receipt, Settlement
from actors.kit.expressions import Expression
from router.routing.delivery import Delivery
from router.routing.outlet import SourceOutlet
from router.routing.route import Route
from router.telemetry.tap import Remark, Tap
from router.topology.model import Topology


class Running(Protocol):
    """What is listened to: an engine, as far as it is needed here."""

    @property
    def topology(self) -> Topology: ...
    @property
    def routes(self) -> Mapping[str, Route]: ...
    @property
    def outlets(self) -> Mapping[str, SourceOutlet]: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def events(self) -> Events: ...


class Taps:
    """Listens to what runs while there is somebody to listen for, by names, whoever bears them after a change.

    A source is listened to by its outlet, a route by its ends, a target by the routes that hand over to it: while a
    tap is open, these objects have a method of their own in place of their class's.
    """

    def __init__(self, running: Running, *, random: Callable[[], float]) -> None:
        self._running = running
        self._random = random
        self._taps: list[Tap] = []
        self._by_name: dict[str, list[Tap]] = {}
        self._unhooks: list[Callable[[], object]] = []
        self._unsubscribe: Callable[[], None] | None = None

    def open(self, names: Sequence[str], *, where: Expression | None = None, sample: float, per_s: float) -> Tap:
        """Listen to these from now on; close it when nobody reads it any more."""
        tap = Tap(names, where=where, sample=sample, per_s=per_s, clock=self._running.clock, random=self._random)
        self._taps.append(tap)
        self._listen()
        if self._unsubscribe is None:
            self._unsubscribe = self._running.events.subscribe(RevisionSwitched, self._switched)
        return tap

    def close(self, tap: Tap) -> None:
        """Nobody reads it any more."""
        if tap in self._taps:
            self._taps.remove(tap)
            self._listen()
        if not self._taps and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _switched(self, event: RevisionSwitched) -> None:
        """Other actors and routes bear the names from this turn of the loop on."""
        self._listen()
        # Not by what is there: what is gone is there until it is empty, and is listened to until then.
        topology = self._running.topology
        for tap in self._taps:
            gone = tuple(name for name in tap.names if name not in topology.actors and name not in topology.routes)
            tap.tell(Remark(revision=event.revision, gone=gone))

    def _listen(self) -> None:
        """Let go of everything, and take hold of what is there now and is listened to."""
        for unhook in self._unhooks:
            unhook()
        self._unhooks.clear()
        self._by_name = {name: [tap for tap in self._taps if name in tap.names] for name in self._names()}
        running = self._running
        for name in self._by_name:
            if (outlet := running.outlets.get(name)) is not None:
                self._hook(outlet, "offer", _offer(outlet, name, self._by_name[name]))
            if (route := running.routes.get(name)) is not None:
                self._hook(route, "delivered", _delivered(route, self._by_name[name]))
                self._hook(route, "end", _end(route, self._by_name[name]))
        actors = running.topology.actors
        if any(name in actors and actors[name].is_target for name in self._by_name):
            # Also those that do not lead there: after the next change they may.
            for route in running.routes.values():
                self._hook(route.attempts, "begin", _begin(route, self._by_name))

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for tap in self._taps for name in tap.names))

    def _hook(self, owner: Any, method: str, instead: Callable[..., None]) -> None:
        vars(owner)[method] = instead
        self._unhooks.append(lambda: vars(owner).pop(method, None))


def _offer(outlet: SourceOutlet, name: str, taps: Sequence[Tap]) -> Callable[..., None]:
    offer = outlet.offer

    def offer_and_tell(message: Message, receipt: Receipt | None = None) -> None:
        offer(message, receipt)
        for tap in taps:
            # Here and below without a call, since under load most are not in the sample.
            if tap.skips:
                tap.skips -= 1
            else:
                tap.see(name, "source", message)

    return offer_and_tell


def _delivered(route: Route, taps: Sequence[Tap]) -> Callable[..., None]:
    delivered = route.delivered

    def deliver_and_tell(delivery: Delivery, reply: Any) -> None:
        # What has details ends by `end`.
        if delivery.details is None:
            for tap in taps:
                if tap.skips:
                    tap.skips -= 1
                else:
                    tap.see(route.name, "route", delivery.message, delivery, "delivered")
        delivered(delivery, reply)

    return deliver_and_tell


def _end(route: Route, taps: Sequence[Tap]) -> Callable[..., None]:
    end = route.end

    def end_and_tell(delivery: Delivery, settlement: Settlement) -> None:
        if delivery.is_message:
            for tap in taps:
                if tap.skips:
                    tap.skips -= 1
                else:
                    tap.see(route.name, "route", delivery.message, delivery, settlement.outcome, settlement.reason)
        end(delivery, settlement)

    return end_and_tell


def _begin(route: Route, by_name: Mapping[str, Sequence[Tap]]) -> Callable[..., None]:
    attempts, begin = route.attempts, route.attempts.begin

    def begin_and_tell(delivery: Delivery, target: Child) -> None:
        begin(delivery, target)
        if target.name in by_name and delivery in attempts.running:
            for tap in by_name[target.name]:
                if tap.skips:
                    tap.skips -= 1
                else:
                    tap.see(target.name, "target", delivery.message, delivery)

    return begin_and_tell
