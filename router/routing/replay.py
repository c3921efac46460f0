"""Dead letters sent again: to the target that failed, or through their route as it is by now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from actors.core.errors import ControlError, RouterError
from actors.core.message import Message, Settlement
from router.routing.outlet import SourceOutlet
from router.routing.probe import Probe
from router.routing.route import Route
from router.store.dead_letter import DeadLetter
from router.store.dead_letters import DeadLetters

PATIENCE_S: Final = 30.0
"""How long whoever asks waits for the end; a replay that takes longer goes on."""
LONGEST_S: Final = 7 * 86400.0
"""After this a message that is still on its way somewhere is nobody's replay any more."""


class Replays:
    """A letter stays in the store, and cannot be replayed a second time, until its message has come to an end."""

    def __init__(
        self,
        *,
        routes: Mapping[str, Route],
        outlets: Mapping[str, SourceOutlet],
        dead_letters: DeadLetters,
        own: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`own` runs what goes on when nobody waits for it."""
        self._routes = routes
        self._outlets = outlets
        self._dead_letters = dead_letters
        self._own = own

    async def replay(self, letter_id: str, *, mode: str) -> None:
        """Send a dead letter again: `original` to the target that failed, `current` through the route anew.

        The letter goes when its message ended well, or when a durable route has accepted it. Raises `ControlError`
        where it cannot be sent or failed again, `BackPressureError` where its source or route takes nothing, and
        `TimeoutError` where it has not ended in time, which it still may.
        """
        letter = await self._dead_letters.get(letter_id)
        if letter is None:
            raise ControlError(f"there is no dead letter {letter_id!r}")
        target = letter.target if mode == "original" else None
        if not self._dead_letters.mark_replaying(letter_id):
            raise ControlError(f"dead letter {letter_id} is being replayed already")
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # That it failed is for whoever still waits.
        ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._own(self._send(letter, target, mode, ended))
        done, _ = await asyncio.wait([ended], timeout=PATIENCE_S)
        if not done:
            text = f"dead letter {letter_id} has not ended within {PATIENCE_S:g} s; it goes on, and may yet"
            raise TimeoutError(text)
        ended.result()

    def _check(self, letter: DeadLetter, target: str | None) -> None:
        """Raise why a letter cannot be sent now."""
        route = self._routes.get(letter.route)
        if route is None or route.intake.gone:
            if letter.route:
                text = f"route {letter.route!r} of dead letter {letter.id} is not in the topology any more"
                raise ControlError(f"{text}: `router send` takes its data to another")
            if letter.source not in self._outlets:
                raise ControlError(
                    f"source {letter.source!r} of dead letter {letter.id} is not in the topology any more"
                )
            return
        if route.paused or route.intake.refuses:
            raise ControlError(f"route {route.name} {route.intake.refuses or 'is paused'}: `router resume` comes first")
        if target is None:
            return
        if target not in route.plan.targets:
            raise ControlError(f"route {route.name} does not lead to {target} any more: use `--as current`")
        # It would wait for its target, and the whole route with it.
        if (closed := route.targets[target].closed) is not None:
            raise ControlError(f"{closed.why}: it cannot be sent there now")

    async def _send(self, letter: DeadLetter, target: str | None, mode: str, ended: asyncio.Future[None]) -> None:
        try:
            settlement = await self._settlement(letter, target, mode)
            failed = settlement is not None and settlement.outcome == "dead_lettered"
            if not failed or not letter.route:
                # Still claimed, so that nobody replays it in between. Without a route it has become another letter.
                await self._dead_letters.drop([letter.id])
            if failed and settlement is not None:
                raise ControlError(f"dead letter {letter.id} failed again: {settlement.reason}")
        except Exception as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)
        finally:
            self._dead_letters.unmark_replaying(letter.id)
            if not ended.done():
                ended.set_exception(RouterError("the router stops"))

    async def _settlement(self, letter: DeadLetter, target: str | None, mode: str) -> Settlement | None:
        """What became of it; None as soon as it is safe elsewhere."""
        # In the turn of the loop in which it is sent: a swap may have changed everything since it was read.
        self._check(letter, target)
        packed = letter.entered if mode == "current" and letter.entered is not None else letter.message
        message = Message.from_bytes(packed)
        route = self._routes.get(letter.route)
        if route is not None:
            return await route.intake.replay(
                message, letter=letter.id, target=target, timeout_s=LONGEST_S, position=letter.position
            )
        probe = Probe(asyncio.get_running_loop().create_future())
        self._outlets[letter.source].offer(message, probe)
        return await probe.wait(wait=False, timeout_s=LONGEST_S)
