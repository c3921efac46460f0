"""Senders that wait for an answer: until their message is safe, or has ended, or for as long as they may wait."""

from __future__ import annotations

from typing import Final, Literal

from actors.connections import http_answers
from actors.connections.http_exchange import Exchange
from actors.core.clock import Clock, Timer
from actors.core.errors import RouterError
from actors.core.message import Receipt, Settlement

Respond = Literal["accepted", "delivered", "reply"]
"""When a sender is answered: as soon as the message is safe; with its outcome; with what the target answered."""

MAY_STILL: Final = "no answer in time; the message was taken in and may still be delivered"


class Senders:
    """Those of one endpoint. They are kept in the order of their deadlines, since all wait equally long."""

    def __init__(self, clock: Clock, *, timeout_s: float, accepted_status: int, delivered_status: int) -> None:
        self.accepted_status = accepted_status
        self.delivered_status = delivered_status
        self._clock = clock
        self._timeout_s = timeout_s
        self._waiting: dict[Sender, float] = {}
        # For the first deadline of all.
        self._timer: Timer | None = None

    @property
    def owed(self) -> int:
        """How many wait, but for those who have gone."""
        return sum(1 for sender in self._waiting if sender.exchange.open)

    def add(self, sender: Sender) -> None:
        """It waits from now on."""
        deadline = self._clock.now() + self._timeout_s
        self._waiting[sender] = deadline
        if self._timer is None:
            self._timer = self._clock.call_at(deadline, self._give_up)

    def answered(self, sender: Sender) -> None:
        """It does not wait any more."""
        self._waiting.pop(sender, None)

    def _give_up(self) -> None:
        """Answer those that have waited too long, and look again when the next one has."""
        clock = self._clock
        self._timer = None
        while self._waiting:
            sender, deadline = next(iter(self._waiting.items()))
            if deadline > clock.now():
                self._timer = clock.call_at(deadline, self._give_up)
                return
            del self._waiting[sender]
            sender.given_up = True
            sender.exchange.refuse(504, MAY_STILL, id=sender.message_id)

    def dismiss(self) -> None:
        """The router stops: answer all who wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for sender in waiting:
            http_answers.not_now(sender.exchange, "the router stops; the message may still be delivered")


class Sender(Receipt):
    """Who has sent a message, and waits for what becomes of it."""

    __slots__ = ("_respond", "_senders", "exchange", "given_up", "message_id")

    def __init__(self, senders: Senders, exchange: Exchange, message_id: str, respond: Respond) -> None:
        # In place of the initialiser above it: this is made for every request.
        self.accepted = False
        self.refused = False
        self.settlement = None
        self.exchange = exchange
        self.message_id = message_id
        self.given_up = False
        self._senders = senders
        self._respond = respond

    @property
    def late(self) -> bool:
        return self.given_up and self._respond == "reply"

    @property
    def until_accepted(self) -> bool:
        return self._respond == "accepted"

    def on_accepted(self) -> None:
        if self._respond == "accepted":
            self._senders.answered(self)
            http_answers.accepted(self.exchange, self.message_id, status=self._senders.accepted_status)

    def on_refused(self, error: RouterError) -> None:
        self._senders.answered(self)
        http_answers.not_taken(self.exchange, error)

    def on_settled(self, settlement: Settlement) -> None:
        if self._respond == "accepted":
            return
        self._senders.answered(self)
        if self._respond == "reply" and settlement.outcome == "delivered" and settlement.reply is not None:
            http_answers.replied(self.exchange, settlement.reply)
        else:
            status = self._senders.delivered_status
            http_answers.settled(self.exchange, self.message_id, settlement, status=status)
