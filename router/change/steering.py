"""Pause, resume, drain and restart: what an operator does to one route or actor, and what that holds back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actors.core.errors import ControlError
from actors.core.succession import Owing
from router.change.assembly import ROUTE, Assembly
from router.change.patience import LOOK_S
from router.change.weakened import names
from router.store.pauses import PauseKind
from router.topology.problems import did_you_mean


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What else stands still because of a pause."""

    sources: tuple[str, ...] = ()
    """Sources that are refused: HTTP answers 503, MQTT waits."""
    routes: tuple[str, ...] = ()
    """Routes that get nothing because they share a source with it, or that wait for a target."""
    fall_back: tuple[str, ...] = ()
    """Routes that use their fallback meanwhile."""

    def as_dict(self) -> dict[str, list[str]]:
        """For JSON."""
        return {"sources": list(self.sources), "routes": list(self.routes), "fall_back": list(self.fall_back)}


class Steering:
    """Pauses are kept over restarts and swaps, by the name of the route or actor."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    def kind(self, name: str) -> PauseKind:
        """Whether a name is a route's or an actor's; raises `ControlError` where it is neither."""
        running = self._assembly.running
        if running is not None and name in running.routes:
            return "route"
        if running is not None and name in running.actors:
            return "actor"
        known = (*running.actors, *running.routes) if running is not None else ()
        meant = did_you_mean(name, known)
        raise ControlError(f"there is no actor or route {name!r}{f': {meant}' if meant else ''}")

    async def pause(self, name: str, *, who: str, why: str = "") -> HeldBack:
        """Stop a route or an actor until it is resumed; it is on disk before anything stands still.

        A route begins nothing more, and its `on_pause` says whether it goes on taking in. A source takes
        nothing in. A target is as one that is away: routes use their fallback, or wait.
        """
        kind = self.kind(name)
        await self._set(name, kind, who, why, "paused")
        return self.held_back(name)

    async def drain(self, name: str, *, who: str, why: str = "", timeout_s: float) -> int:
        """Take nothing more in, and wait until what is there has ended; returns how many messages have not.

        It stays so until it is resumed; raises `ControlError` where that happens before it is empty.
        """
        kind = self.kind(name)
        await self._set(name, kind, who, why, "drained")
        left = self._left(name, kind)
        clock = self._assembly.clock
        deadline = clock.now() + timeout_s
        while left() and clock.now() < deadline:
            await clock.sleep(LOOK_S)
            pause = self._assembly.stores.pauses.all().get(name)
            if pause is None or pause.state != "drained":
                raise ControlError(f"{name} was {'resumed' if pause is None else 'paused'} before it was empty")
        return left()

    async def resume(self, name: str) -> bool:
        """End a pause or a drain, also of a name that is in the topology no more; false where there was none."""
        assembly = self._assembly
        if name not in assembly.stores.pauses.all():
            self.kind(name)
        pause = await assembly.stores.pauses.clear(name)
        if pause is None:
            return False
        if name in assembly.routes:
            assembly.routes[name].resume()
        elif name in assembly.outlets:
            assembly.outlets[name].open()
            assembly.supervisor.children[name].resume()
        return True

    async def restart(self, name: str) -> None:
        """Stop an actor or a route's actor and start it anew, with a clean history; this revives a failed one."""
        kind = self.kind(name)
        supervisor = self._assembly.supervisor
        key = ROUTE + name if kind == "route" else name
        if supervisor.children[key].state == "disabled":
            raise ControlError(f"{name} is disabled in the topology: `enabled: true` there starts it")
        await supervisor.restart(key)

    def held_back(self, name: str) -> HeldBack:
        """What a pause of this name holds back."""
        assembly = self._assembly
        running = assembly.running
        assert running is not None, "it was looked up there"
        if (route := running.routes.get(name)) is not None:
            if route.on_pause == "journal":
                return HeldBack()
            siblings = [
                other.name
                for other in running.routes.values()
                if other.name != name and not set(other.sources).isdisjoint(route.sources)
            ]
            return HeldBack(route.sources, tuple(siblings))
        fed = [one.name for one in running.routes.values() if name in one.sources]
        leading = [one for one in running.routes.values() if name in (*names(one.to), *one.fallback)]
        waiting = [one.name for one in leading if not set(one.fallback) - {name}]
        falling = [one.name for one in leading if set(one.fallback) - {name}]
        sources = (name,) if running.actors[name].is_source else ()
        return HeldBack(sources, tuple(dict.fromkeys([*fed, *waiting])), tuple(falling))

    async def _set(self, name: str, kind: PauseKind, who: str, why: str, state: Any) -> None:
        assembly = self._assembly
        await assembly.stores.pauses.set(name, kind, who, why, assembly.clock.time(), state=state)
        assembly.keep_pauses()

    def _left(self, name: str, kind: PauseKind) -> Callable[[], int]:
        assembly = self._assembly
        if kind == "route":
            route = assembly.routes[name]

            def of_route() -> int:
                balance = route.balance()
                return balance.queued + balance.in_flight

            return of_route

        def of_actor() -> int:
            # Whoever bears the name by now: a swap hands over what waits.
            child = assembly.supervisor.children.get(name)
            if child is None:
                return 0
            actor: object = child.actor
            owed = actor.owed if isinstance(actor, Owing) else 0
            return owed + len(child.mailbox.in_hand) + len(child.mailbox)

        return of_actor
