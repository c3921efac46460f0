"""Pykka's actor on an asyncio loop: the three hooks, and hooks of the user's that may be coroutines."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from types import CoroutineType, TracebackType
from typing import Any, Protocol, Self, TypeVar

import pykka
from pykka import messages as pykka_messages

from actors.core.deferred import Deferred
from actors.core.envelope import Control, Envelope
from actors.core.errors import ActorStoppedError, DeliveryError, ExpressionError
from actors.core.future import LoopFuture
from actors.core.hands import Hands, as_crash
from actors.core.mailbox import Mailbox
from actors.core.message import Message
from actors.core.ref import LoopRef, runs_loop

T = TypeVar("T")

logger = logging.getLogger("pointsman")

TURN = 128
"""Messages an actor handles before it lets others run."""

FAILED_ATTEMPT = (DeliveryError, ExpressionError)


class Drain(Control):
    """To a source: stop taking in. Answered when `on_drain` has returned."""

    __slots__ = ()


class _Crashed(Control):
    """To itself: a task of the actor's raised."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Observer(Protocol):
    """Whoever supervises an actor."""

    def started(self, actor: pykka.Actor) -> None: ...

    def ended(self, actor: pykka.Actor, error: Exception | None) -> None: ...


class AsyncioActor(pykka.Actor):
    """An actor on the running loop, one task each; `start`, `tell`, `ask`, `stop` and proxies are pykka's.

    `on_start`, `on_receive`, `on_drain`, `on_failure` and `on_stop` may be coroutine functions. A
    `DeliveryError` out of `on_receive` goes to whoever sent the message, and the actor goes on; any other
    exception is a crash: the actor ends, and its supervisor decides. Other than in pykka, `on_stop` runs
    after a crash too (behind `on_failure`), so that it is the one place that gives resources back, and the
    actor is not in `pykka.ActorRegistry`: that is a list, and leaving it takes 20,000 actors 15 seconds.
    """

    concurrency: int = 1
    """Messages in hand at once. One is handled inline; more get a task each, unless the actor `defers`."""

    defers: bool = False
    """`on_receive` is called inline, and may return a `Deferred`: many messages in hand, and no task for any."""

    stop_timeout_s: float = 10.0
    """How long `on_failure`, `on_stop` and the end of the actor's tasks may take, each."""

    observer: Observer | None = None

    actor_inbox: Mailbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._actor_ref = LoopRef(self)
        self._owned: set[asyncio.Task[Any]] = set()
        self._stop_replies: list[Any] = []
        self._finishing = False
        """Asked to stop, and still at work on what it has in hand."""
        self._over = False

    # Pykka's hooks

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        actor = cls(*args, **kwargs)
        actor._start_actor_loop()
        return actor.actor_ref

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox("actor", now=time.monotonic)

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return LoopFuture() if runs_loop() else pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self.actor_inbox.attend()
        self._hands = Hands(self.actor_inbox)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def adopt(self, mailbox: Mailbox) -> None:
        """Before it runs: take over a mailbox that outlives it."""
        self.actor_inbox = mailbox
        self.actor_ref.actor_inbox = mailbox

    # The hooks of the user's

    def on_drain(self) -> Any:
        """Stop taking in; what was taken is still acknowledged. May be a coroutine function."""

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that the actor owns: cancelled when the actor ends, and an exception in it is a crash.

        Raises `ActorStoppedError` where the actor has ended.
        """
        if self._over:
            coroutine.close()
            raise ActorStoppedError(f"{self.actor_inbox.name} has ended", actor=self.actor_inbox.name)
        task = asyncio.get_running_loop().create_task(coroutine)
        self._owned.add(task)
        task.add_done_callback(self._spawned_ended)
        return task

    def _spawned_ended(self, task: asyncio.Task[Any]) -> None:
        self._owned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash(as_crash(error))

    def _crash(self, error: Exception) -> None:
        self.actor_inbox.put(Envelope(_Crashed(error)))

    # Its life

    async def _run(self) -> None:
        error: Exception | None = None
        try:
            await _finished(self.on_start)
            if self.observer is not None:
                self.observer.started(self)
            await self._receive()
        except Exception as crash:
            error = crash
        except asyncio.CancelledError as stray:
            if is_cancelled():
                raise
            error = as_crash(stray)
        finally:
            raised = sys.exc_info()[1]
            if raised is not None and not isinstance(raised, asyncio.CancelledError):
                error = as_crash(raised)
            # Where the loop was given up with the actor on it, nothing can be awaited any more.
            if not isinstance(raised, GeneratorExit):
                await self._end(error)

    async def _receive(self) -> None:
        mailbox = self.actor_inbox
        messages, control, in_hand, lobby = mailbox.messages, mailbox.control, mailbox.in_hand, mailbox.lobby
        take, on_receive = mailbox.take, self.on_receive
        defers, hands = self.defers, self._hands
        inline = defers or self.concurrency == 1
        turn = 0
        while True:
            if control:
                if await self._obey(control.popleft()):
                    break
            elif not messages:
                await mailbox.arrival()
                turn = 0
            elif turn == TURN:
                turn = 0
                await asyncio.sleep(0)
            elif in_hand and len(in_hand) >= self.concurrency:
                await mailbox.change()
                turn = 0
            elif inline:
                turn += 1
                envelope = take() if lobby else messages.popleft()
                in_hand[envelope] = None
                message = envelope.message
                try:
                    # An exact type: what pykka sends (proxies) takes the other way.
                    reply: Any = on_receive(message) if type(message) is Message else self._handle_receive(message)
                    if type(reply) is CoroutineType:
                        reply = await reply
                except FAILED_ATTEMPT:
                    hands.refused(envelope)
                except Exception as error:
                    if defers:
                        # The others in hand are not to blame.
                        hands.crashed(envelope, error)
                    raise
                else:
                    if defers and isinstance(reply, Deferred):
                        reply.attach(self, envelope)
                        continue
                    del in_hand[envelope]
                    mailbox.handled += 1
                    try:
                        envelope.answer(reply)
                    except Exception:
                        hands.reply_failed()
            else:
                turn += 1
                envelope = take()
                in_hand[envelope] = None
                self.spawn(self._handle(envelope))
        self._finishing = True
        while in_hand:
            if control:
                await self._obey(control.popleft())
            else:
                await mailbox.change()

    async def _handle(self, envelope: Envelope) -> None:
        """One of several messages in hand; at the actor's end, `_end` settles what is left."""
        try:
            reply = await _finished(self._handle_receive, envelope.message)
        except FAILED_ATTEMPT:
            self._hands.refused(envelope)
        except (Exception, asyncio.CancelledError) as error:
            if self.actor_stopped.is_set():
                raise
            self._crash(as_crash(error))
            self._hands.crashed(envelope, as_crash(error))
        else:
            self._hands.handled(envelope, reply)
        self._freed()

    def _freed(self) -> None:
        """One less is in hand: go on where that was waited for."""
        mailbox = self.actor_inbox
        if self._finishing or len(mailbox.in_hand) + 1 >= self.concurrency:
            mailbox.wake()

    async def _obey(self, envelope: Any) -> bool:
        """Carry out a control message; true where it ends the actor."""
        message = envelope.message
        if isinstance(message, _Crashed):
            raise message.error
        if isinstance(message, pykka_messages._ActorStop):
            if envelope.reply_to is not None:
                self._stop_replies.append(envelope.reply_to)
            return True
        try:
            if isinstance(message, Drain):
                await _finished(self.on_drain)
        finally:
            if envelope.reply_to is not None:
                envelope.reply_to.set(None)
        return False

    # Its end

    async def _end(self, error: Exception | None) -> None:
        """Whatever ended it: its tasks end, `on_stop` runs, and everybody who waits is told, each once."""
        self.actor_stopped.set()
        try:
            if error is not None:
                await self._guarded(self.on_failure, type(error), error, error.__traceback__)
            await self._cancel_owned()
        finally:
            try:
                self._release_hands(error)
                await self._guarded(self.on_stop)
                await self._cancel_owned()
            finally:
                self._over = True
                # Without a supervisor nobody takes the mailbox over, so what waits in it is refused, as in pykka.
                self.actor_inbox.leave(for_good=self.observer is None)
                for reply in self._stop_replies:
                    reply.set(None)
                if self.observer is not None:
                    self.observer.ended(self, error)

    def _release_hands(self, error: Exception | None) -> None:
        if error is None:
            self._hands.release("was stopped")
        elif self.concurrency == 1 and not self.defers:
            for envelope in tuple(self.actor_inbox.in_hand):
                self._hands.crashed(envelope, error)
        else:
            self._hands.release(f"crashed on something else ({error!r})")

    async def _cancel_owned(self) -> None:
        owned = tuple(self._owned)
        if not owned:
            return
        for task in owned:
            task.remove_done_callback(self._spawned_ended)
            task.cancel()
        self._owned.clear()
        done, late = await asyncio.wait(owned, timeout=self.stop_timeout_s)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._handle_failure(type(error), error, error.__traceback__)
        if late:
            logger.error("%d tasks of %s do not end", len(late), self.actor_inbox.name)

    async def _guarded(self, hook: Callable[..., Any], *args: Any) -> None:
        """Run a hook at the end, where an exception or a hook that hangs must not keep the rest from happening."""
        try:
            result = hook(*args)
            if type(result) is CoroutineType:
                async with asyncio.timeout(self.stop_timeout_s):
                    await result
        except Exception:
            self._handle_failure(*sys.exc_info())

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logger.error("%s failed while it ended", self.actor_inbox.name, exc_info=exception_value)


async def _finished(hook: Callable[..., Any], *args: Any) -> Any:
    """A hook's result, awaited where it is a coroutine."""
    result = hook(*args)
    return await result if type(result) is CoroutineType else result


def is_cancelled() -> bool:
    """Whether somebody cancelled the current task; a `CancelledError` can also come out of what it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
