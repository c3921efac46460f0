"""What an actor is working on, and how each message of it is settled: once, whatever happens."""

from __future__ import annotations

import logging
import sys
from typing import Any

from actors.core.envelope import Envelope, Told, refuse
from actors.core.errors import ActorCrashedError, DeliveryError
from actors.core.mailbox import Mailbox

logger = logging.getLogger("pointsman")

QUARANTINE = 2
"""How many crashes a told message may survive; with one more it is given up, and counted as failed."""


class Hands:
    """The messages that an actor has in hand; settling one that is not there any more does nothing."""

    __slots__ = ("_mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def handled(self, envelope: Envelope, reply: Any) -> None:
        """The handler returned."""
        if self._put_down(envelope):
            self._mailbox.handled += 1
            try:
                envelope.answer(reply)
            except Exception:
                self.reply_failed()

    def refused(self, envelope: Envelope) -> None:
        """The handler raised the exception at hand, and the actor goes on."""
        error = sys.exc_info()[1]
        assert isinstance(error, Exception)
        self.failed(envelope, error)

    def failed(self, envelope: Envelope, error: Exception) -> None:
        """The attempt ended with `error`, and the actor goes on."""
        if self._put_down(envelope):
            self._mailbox.failed += 1
            self._tell(envelope, error)

    def crashed(self, envelope: Envelope, error: Exception) -> None:
        """The actor crashes on this one: it goes back to its sender, or to the front."""
        if not self._put_down(envelope):
            return
        mailbox = self._mailbox
        if isinstance(envelope, Told) and envelope.crashes < QUARANTINE:
            envelope.crashes += 1
            mailbox.put_back(envelope)
            return
        mailbox.failed += 1
        if envelope.reply_to is None:
            logger.error("%s gave up a message that it crashed on again and again", mailbox.name, exc_info=error)
            return
        crash = ActorCrashedError(f"{mailbox.name} crashed: {error!r}", actor=mailbox.name)
        crash.__cause__ = error
        self._tell(envelope, crash)

    def release(self, why: str) -> None:
        """The actor ends, and what it has left in hand is not to blame: it may or may not have had its effect."""
        mailbox = self._mailbox
        # The last one first, since each goes to the front.
        for envelope in reversed(tuple(mailbox.in_hand)):
            del mailbox.in_hand[envelope]
            if isinstance(envelope, Told):
                mailbox.put_back(envelope)
                continue
            mailbox.failed += 1
            text = f"{mailbox.name} {why} with the message in hand"
            self._tell(envelope, DeliveryError(text, reason="unknown"))

    def reply_failed(self) -> None:
        """A sender raised when it was told: no crash of this actor, which has done its work."""
        logger.exception("a sender to %s raised on its reply", self._mailbox.name)

    def _put_down(self, envelope: Envelope) -> bool:
        in_hand = self._mailbox.in_hand
        if envelope not in in_hand:
            return False
        del in_hand[envelope]
        return True

    def _tell(self, envelope: Envelope, error: Exception) -> None:
        try:
            refuse(envelope, error)
        except Exception:
            self.reply_failed()


def as_crash(error: BaseException) -> Exception:
    """What ended an actor, as an exception that can be handed on and chained."""
    if isinstance(error, Exception):
        return error
    crash = RuntimeError(f"{error!r} came out of the actor")
    crash.__cause__ = error
    return crash
