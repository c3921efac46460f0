"""The dead letters as the API has them: listed, shown whole, replayed and dropped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from actors.core.errors import RouterError
from actors.core.message import Message
from router.control.mailbox_view import View, whole_message, without_preview
from router.control.message_documents import DeadLetterDocument, DeadLettersDocument, Dropped, Replayed
from router.control.operation import Answer, Call, Change, Noted, Operation
from router.control.problem import UnknownError
from router.control.requests import MAX_AT_ONCE, DeadLettersQuery, Drop, NoQuery, Replay, Selection
from router.store.dead_letter import EVERY_DEAD_LETTER, DeadLetter, DeadLetterFilter
from router.telemetry.shown import Redaction, without_credentials

if TYPE_CHECKING:
    from router.engine import Engine

logger = logging.getLogger("pointsman.control")

AT_ONCE: Final = 16
"""Replays of one request that run side by side."""
REPLAY_S: Final = 300.0
"""No replay of a request begins later than this; what is left is told, for another request."""
PAGE: Final = 500


class DeadLetterOperations:
    """What can be asked about dead letters."""

    def __init__(self, engine: Engine, redaction: Redaction) -> None:
        self._engine = engine
        self._redaction = redaction

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                "GET",
                "/v1/dead-letters",
                self.page,
                DeadLettersQuery,
                role="operator",
                answers={200: DeadLettersDocument},
                problems=(503,),
            ),
            Operation(
                "GET",
                "/v1/dead-letters/{id}",
                self.show,
                NoQuery,
                role="operator",
                answers={200: DeadLetterDocument},
                problems=(503,),
            ),
            Operation(
                "POST",
                "/v1/dead-letters/replay",
                self.replay,
                NoQuery,
                Replay,
                role="operator",
                answers={200: Replayed},
                change=Change("replay", "dead letters"),
                problems=(503,),
            ),
            Operation(
                "POST",
                "/v1/dead-letters/drop",
                self.drop,
                NoQuery,
                Drop,
                role="operator",
                answers={200: Dropped},
                change=Change("drop", "dead letters"),
                problems=(503,),
            ),
        )

    async def page(self, call: Call) -> Answer:
        """A page of dead letters, the newest first, and how many match."""
        query: DeadLettersQuery = call.query
        matching = query.filter(self._engine.clock.time())
        views: list[View] = []
        async for letters in self._pages(matching, limit=query.limit, before=query.before):
            views += await asyncio.to_thread(self._lines, letters)
        return Answer.json({"dead_letters": views, "total": await self._total(matching)})

    async def show(self, call: Call) -> Answer:
        """One dead letter, with its message whole."""
        letter_id = call.names["id"]
        letter = await self._engine.dead_letters.get(letter_id)
        if letter is None:
            raise UnknownError("dead letter", letter_id)
        return Answer.json(await asyncio.to_thread(self._whole, letter))

    async def drop(self, call: Call) -> Answer:
        """Delete dead letters: some by their ids, or all that a filter chooses, or the next of these."""
        wanted: Drop = call.body
        last, more = None, False
        if wanted.filter is None:
            dropped = await self._engine.dead_letters.drop(wanted.ids or [])
        elif wanted.limit is None and wanted.after is None and wanted.through is None:
            dropped = await self._engine.dead_letters.drop_matching(self._filter(wanted.filter))
        else:
            ids, more = await self._next(wanted)
            dropped = await self._engine.dead_letters.drop(ids)
            last = ids[-1] if ids else None
        answer = {"dropped": dropped, "last": last, "more": more}
        return Answer.json(answer, noted=Noted(detail={**self._meant(wanted), "dropped": dropped}))

    async def replay(self, call: Call) -> Answer:
        """Send dead letters again: to the target that failed, or through the route anew.

        The oldest first, some side by side. `left` says how many of those that were meant are still to be
        asked for: a request has its bounds in number and in time.
        """
        wanted: Replay = call.body
        if wanted.filter is None:
            ids, more = list(dict.fromkeys(wanted.ids or [])), False
        else:
            ids, more = await self._next(wanted)
        replays = Replays(self._engine, ids, wanted.mode)
        await replays.run()
        left = len(ids) - replays.replayed - len(replays.failed)
        counts = {"replayed": replays.replayed, "failed": len(replays.failed), "left": left}
        # Those that were not begun are the last ones.
        last = ids[len(ids) - left - 1] if len(ids) > left else None
        return Answer.json(
            {"replayed": replays.replayed, "failed": replays.failed, "left": left, "more": more, "last": last},
            noted=Noted(detail={**self._meant(wanted), "as": wanted.mode, **counts}),
        )

    def _meant(self, wanted: Replay | Drop) -> dict[str, Any]:
        """Which dead letters a request chooses, for the audit log."""
        if wanted.filter is None:
            return {"ids": wanted.ids}
        chosen = asdict(self._filter(wanted.filter))
        return {"filter": {name: value for name, value in chosen.items() if value is not None}}

    def _filter(self, selection: Selection) -> DeadLetterFilter:
        return selection.filter(self._engine.clock.time())

    async def _next(self, wanted: Replay | Drop) -> tuple[list[str], bool]:
        """Ids of those that a request means by its filter, the oldest first, and whether there are more."""
        assert wanted.filter is not None, "it means some by their ids"
        limit, matching = wanted.limit or MAX_AT_ONCE, self._filter(wanted.filter)
        store = self._engine.dead_letters
        found = await store.ids(matching, limit=limit + 1, after=wanted.after, through=wanted.through)
        return found[:limit], len(found) > limit

    async def _total(self, matching: DeadLetterFilter) -> int:
        store = self._engine.dead_letters
        return store.count() if matching == EVERY_DEAD_LETTER else await store.count_matching(matching)

    async def _pages(
        self, matching: DeadLetterFilter, *, limit: int, before: str | None = None
    ) -> AsyncIterator[list[DeadLetter]]:
        """The newest first. A page may end early, since it is bounded in bytes too; only an empty one is the last."""
        while limit > 0:
            letters = await self._engine.dead_letters.page(matching, limit=min(limit, PAGE), before=before)
            if not letters:
                return
            yield letters
            limit -= len(letters)
            before = letters[-1].id

    def _lines(self, letters: list[DeadLetter]) -> list[View]:
        return [self._line(letter, _message(letter)) for letter in letters]

    def _whole(self, letter: DeadLetter) -> View:
        message = _message(letter)
        shown = whole_message(message, self._redaction) if message is not None else {}
        return {**shown, **without_preview(self._line(letter, message))}

    def _line(self, letter: DeadLetter, message: Message | None) -> View:
        return {
            "id": letter.id,
            "at": letter.at,
            "route": letter.route,
            "target": letter.target,
            "reason": letter.reason,
            "error": without_credentials(letter.error),
            "attempts": letter.attempts,
            "key": letter.key,
            "message_id": letter.message_id,
            "source": letter.source,
            "size": letter.size_bytes,
            "preview": self._redaction.preview(message.data) if message is not None else "",
            "replaying": self._engine.dead_letters.is_replaying(letter.id),
        }


class Replays:
    """Replays dead letters, `AT_ONCE` side by side, and begins none after `REPLAY_S`."""

    def __init__(self, engine: Engine, ids: list[str], mode: Any) -> None:
        self.replayed = 0
        self.failed: list[dict[str, str]] = []
        self._engine = engine
        self._mode = mode
        self._pending: Iterator[str] = iter(ids)
        self._workers = min(AT_ONCE, len(ids))

    async def run(self) -> None:
        until = self._engine.clock.now() + REPLAY_S
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work(until))

    async def _work(self, until: float) -> None:
        while self._engine.clock.now() < until:
            letter_id = next(self._pending, None)
            if letter_id is None:
                return
            try:
                await self._engine.replay(letter_id, mode=self._mode)
            except (RouterError, TimeoutError) as error:
                why = without_credentials(str(error)) or "it has not ended in time"
                self.failed.append({"id": letter_id, "why": why})
            except Exception:
                logger.exception("the replay of dead letter %s failed", letter_id)
                self.failed.append({"id": letter_id, "why": "this failed inside the router; its log says more"})
            else:
                self.replayed += 1


def _message(letter: DeadLetter) -> Message | None:
    """None for one that cannot be read, which must not keep the others from being shown."""
    try:
        return Message.from_bytes(letter.message)
    except Exception:
        return None
