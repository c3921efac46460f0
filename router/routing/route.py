"""A route: takes messages in, runs its steps on them, hands them to targets, and ends each by a name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from actors.core.child import Child
from actors.core.clock import Clock
from actors.core.errors import Reason, RouterError
from actors.core.events import Events, MessageLost, ReplyLost
from actors.core.mailbox import Mailbox
from actors.core.message import Settlement
from router.routing.advance import advance
from router.routing.attempts import Attempts
from router.routing.backlog import Backlog
from router.routing.branches import Branches
from router.routing.burial import Burial
from router.routing.chain import Chain
from router.routing.delivery import DELIVERED, Delivery
from router.routing.intake import Intake
from router.routing.ledger import Balance, Ledger
from router.routing.order import Order
from router.routing.plan import RoutePlan
from router.routing.trail import Trail
from router.routing.under_way import UnderWay
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal

if TYPE_CHECKING:
    from router.routing.route_actor import RouteActor

TURN = 128
"""Messages a route advances before it lets others run."""


class Route:
    """The state of one route. Its actor runs it, and may crash; this outlives the crash, as a mailbox does.

    A message's way through it: `Intake` (accepted, journaled) → mailbox → `advance` (expiry, `when`, order,
    steps, choice of targets) → `Attempts` → `end`. Whatever frees a place calls `pump`, which goes on with
    the next message at once, in the caller's turn of the loop: a task switch for each would double the cost
    of a hop.
    """

    def __init__(
        self,
        plan: RoutePlan,
        *,
        mailbox: Mailbox,
        targets: Mapping[str, Child],
        journal: Journal,
        dead_letters: DeadLetters,
        clock: Clock,
        events: Events,
        random: Callable[[], float],
        trail: Trail,
    ) -> None:
        self.plan = plan
        self.name = plan.name
        self.mailbox = mailbox
        self.ledger = Ledger()
        self.endings = trail.endings(plan)
        self.ready: deque[Delivery] = deque()
        """What goes on before the mailbox is looked into: due retries, parts of a split, next targets."""
        self.actor: RouteActor | None = None
        self._events = events
        self.clock = clock
        self.targets = targets
        """The actors that stand for the names its plan leads to."""
        self._journal = journal
        self._pumping = False
        self.unfinished = False
        """The pump stopped to let others run."""
        self._concurrency = plan.concurrency
        self.engaged = 0
        """Places of `concurrency` that asynchronous steps and marks in the journal take, besides attempts."""
        self._straight = targets[plan.straight] if plan.straight is not None else None
        self.order = Order(plan.order_by)
        self.chain = Chain(self)
        self.former: dict[Chain, None] = {}
        """Steps of plans before that hold something."""
        self.branches = Branches(self, targets=targets, journal=journal)
        self.attempts = Attempts(self, clock=clock, events=events, random=random)
        self.backlog = Backlog(self, journal=journal, clock=clock, events=events)
        self.intake = Intake(self, journal=journal, clock=clock, events=events)
        self.burial = Burial(self, dead_letters=dead_letters, targets=targets, clock=clock, events=events)
        self.paused = False
        """Nothing goes on until an operator resumes it; what a target has in hand still ends."""
        self.on_hold: dict[Delivery, None] = {}
        """Those whose turn has come, and which an operator holds (hold.py). They keep their keys."""
        self.under_way = UnderWay(self)

    def become(self, plan: RoutePlan, targets: Mapping[str, Child]) -> None:
        """Run by another plan from now on; rewire.py sees to what is under way."""
        other_steps = plan.steps is not self.plan.steps
        self.plan, self.targets = plan, targets
        if other_steps:
            if self.chain.held:
                self.former[self.chain] = None
            self.chain = Chain(self)
        self._concurrency = plan.concurrency
        self._straight = targets[plan.straight] if plan.straight is not None else None
        self.attempts.retarget(targets)
        self.attempts.set_policy(plan.retry, plan.timeout_s)
        self.branches.rewire(targets)
        self.burial.rewire(targets[plan.dead_letter] if plan.dead_letter else None)
        self.intake.rewire(plan)
        self.endings.plan = plan

    def pause(self) -> None:
        """Begin nothing more, until `resume`; what targets have in hand ends, and retries wait."""
        self.paused = True
        if self.plan.journals_while_paused:
            self.intake.open()
        else:
            self.intake.shut("is paused")

    def drain(self) -> None:
        """Take nothing more in, until `resume`, and go on with what is there."""
        self.paused = False
        self.intake.shut("is drained")
        self.pump()

    def resume(self) -> None:
        """Take in and begin again."""
        self.paused = False
        self.intake.open()
        self.pump()
        self.intake.let_in()

    def holder(self, delivery: Delivery) -> Chain:
        """The steps that hold a delivery."""
        return next((chain for chain in self.former if delivery in chain.held), self.chain)

    # Taking messages on

    def pump(self) -> None:
        """Go on with whatever can go on, as far as `concurrency` allows."""
        if self._pumping or self.actor is None or self.paused:
            return
        self._pumping = True
        attempts, messages = self.attempts, self.mailbox.messages
        delivery: Any = None
        turns = TURN
        try:
            while len(attempts.running) + self.engaged < self._concurrency:
                if self.ready:
                    delivery = self.ready.popleft()
                elif messages and not (
                    # Mostly all of these are empty, and this runs once a message.
                    (
                        attempts.retries
                        or attempts.suspended
                        or attempts.pausing
                        or self.chain.held
                        or self.order.waiting
                        or self.burial.pending
                    )
                    and self.under_way.held_back
                ):
                    delivery = messages.popleft()
                else:
                    break
                if (
                    self._straight is not None
                    and delivery.details is None
                    and (not (attributes := delivery.message.attributes) or "expirytime" not in attributes)
                ):
                    attempts.begin(delivery, self._straight)
                else:
                    advance(self, delivery)
                    turns -= 1
                    if not turns:
                        self.unfinished = True
                        self.mailbox.wake()
                        break
        except Exception as error:
            self.crashed(delivery, error)
        finally:
            self._pumping = False
        if self.backlog.size:
            self.backlog.refill()
        if self.intake.waiters:
            self.intake.let_in()

    def put_on_hold(self, delivery: Delivery) -> None:
        """It goes no further until it is released."""
        self.on_hold[delivery] = None
        # It is in nobody's hands: a router that dies meanwhile makes no suspect of it.
        self.remember(delivery)

    # Ends

    def delivered(self, delivery: Delivery, reply: Any) -> None:
        """A target took it."""
        if delivery.details is not None:
            self.end(delivery, Settlement("delivered", None, reply))
            return
        self.ledger.delivered += 1
        delivery.route = None
        endings = self.endings
        if not endings.delivered:
            endings.begin()
        endings.delivered.append(delivery)
        if delivery.row:
            self.intake.settled(delivery)
        if reply is not None:
            self._reply(delivery, Settlement("delivered", None, reply))
        elif (receipt := delivery.receipt) is not None:
            delivery.receipt = None
            receipt.settle(DELIVERED)

    def _reply(self, delivery: Delivery, settlement: Settlement) -> None:
        """Tell its source, and count a reply that reaches nobody: it came late, or its asker died with a process."""
        receipt, delivery.receipt = delivery.receipt, None
        if settlement.reply is not None:
            if receipt is not None and receipt.late:
                self.ledger.late_replies += 1
                self._events.emit(ReplyLost(self.name, delivery.message.id))
            elif receipt is None and self.plan.replies:
                self.ledger.replies_lost += 1
                self._events.emit(ReplyLost(self.name, delivery.message.id))
        if receipt is not None:
            receipt.settle(settlement)

    def give_up(self, delivery: Delivery, reason: Reason, error: str) -> None:
        """It becomes a dead letter, and ends when that is safe."""
        self.burial.bury(delivery, reason, error)

    def give_back(self, delivery: Delivery, reason: Reason, error: str, retry_after_s: float | None = None) -> None:
        """It ends here, and its source sends it again."""
        self.end(delivery, Settlement("returned", f"{reason}: {error}", None, retry_after_s))

    def end(self, delivery: Delivery, settlement: Settlement) -> None:
        """It ended: count it, tell who waits for it, and free its key."""
        details = delivery.details
        if delivery.is_message:
            self.ledger.count(settlement.outcome)
        self.endings.ended(delivery, settlement)
        delivery.route = None
        if details is not None:
            if details.watchers is not None:
                for watcher in details.watchers:
                    watcher(settlement)
            if details.parent is not None:
                self.branches.ended(delivery, details.parent, settlement)
                return
        if delivery.row:
            self.intake.settled(delivery)
        self._reply(delivery, settlement)
        if details is not None and details.key is not None:
            self.ready.extend(self.order.leave(details.key))

    def remember(self, delivery: Delivery) -> None:
        """Keep in the journal how far it has come and how often it was tried."""
        if delivery.row:
            details = delivery.more()
            packed = self.order.labelled(delivery).to_bytes()
            self._journal.progress(delivery.row, packed, details.position, delivery.attempt)

    # Crashes, and the end of the route

    def crashed(self, delivery: Delivery, error: Exception) -> None:
        """A step raised: the message comes back with one more attempt behind it, and the actor restarts.

        What its source sends again comes back from there.
        """
        actor, self.actor = self.actor, None
        if actor is not None:
            actor._crash(error)
        if delivery.route is None:
            # It had ended, and whoever was told of that raised.
            return
        text = f"{type(error).__name__}: {error}"
        if (redelivery := delivery.redelivery) is not None:
            delivery.attempt = redelivery.attempt
            if redelivery.is_last:
                self.give_up(delivery, "quarantined", text)
            else:
                self.give_back(delivery, "crashed", text)
            return
        details = delivery.more()
        details.crashes += 1
        if details.crashes >= self.plan.retry.attempts:
            self.give_up(delivery, "quarantined", text)
        else:
            self.ready.appendleft(delivery)

    def lost(self, delivery: Delivery) -> None:
        """A delivery was collected before it ended, which is a defect: say so, and let the source repeat it."""
        self._events.emit(MessageLost(delivery.message.id))
        if delivery.receipt is not None:
            delivery.receipt.refuse(RouterError("the message was lost"))

    @property
    def queued(self) -> int:
        """Messages that wait in the mailbox, or behind it in the journal."""
        return len(self.mailbox) + self.backlog.size

    def balance(self) -> Balance:
        """The ledger, with what is on its way counted from where it is."""
        in_flight = sum(delivery.is_message for delivery in self.under_way)
        return self.ledger.balance(queued=self.queued, in_flight=in_flight)

    def close(self) -> None:
        """The end: what has not ended was never acknowledged, or is in the journal."""
        self.actor = None
        self.intake.close()
        self.attempts.close()
        for delivery in [*self.under_way, *self.mailbox.messages]:
            assert isinstance(delivery, Delivery)
            delivery.route = None
            if delivery.receipt is not None:
                delivery.receipt.refuse(RouterError("the router stops"))
        self.mailbox.messages.clear()
        self.burial.close()
