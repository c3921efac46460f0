"""Several in place of one: the parts of a split, and the ways to several targets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from actors.core.child import Child
from actors.core.message import Message, Settlement, worse
from actors.core.step import Parts
from router.routing.delivery import DELIVERED, Delivery
from router.store.journal import Journal

if TYPE_CHECKING:
    from router.routing.route import Route


class Branches:
    """Keeps the parents of what has not ended; a parent ends with the last of its parts, as the worst of them.

    The journal records each part and branch as it ends, so that a replay after a crash sends only the rest; for what
    its source sends again, its receipt's `redelivery` does.
    """

    def __init__(self, route: Route, *, targets: Mapping[str, Child], journal: Journal) -> None:
        self._parents: dict[Delivery, None] = {}
        self._route = route
        self._targets = targets
        self._journal = journal

    def split(self, delivery: Delivery, parts: Parts) -> None:
        """It goes on as `parts`: one after the other where the route keeps an order, else side by side."""
        route = self._route
        details = delivery.more()
        if not parts:
            route.end(delivery, Settlement("filtered"))
            return
        details.role, details.pending = "split", len(parts)
        route.ledger.split_out += len(parts) - 1
        self._parents[delivery] = None
        children = deque(
            self._child(delivery, part, details.number, f"{details.path}{number}/")
            if details.parent is not None
            else self._child(delivery, part, number, "")
            for number, part in enumerate(parts, 1)
        )
        if route.plan.order_by is not None:
            first = children.popleft()
            details.chain = children
            route.ready.append(first)
        else:
            route.ready.extend(children)

    def fan_out(self, delivery: Delivery, names: tuple[str, ...]) -> None:
        """It goes to all of `names`, side by side; each way has its own attempts, fallback and dead letter."""
        names = self.not_done(delivery, names)
        if not names:
            self._route.end(delivery, DELIVERED)
            return
        details = delivery.more()
        details.role, details.pending, details.ways = "fan_out", len(names), names
        self._parents[delivery] = None
        branches = [self._child(delivery, delivery.message, details.number, details.path) for _ in names]
        for name, branch in zip(names, branches, strict=True):
            branch.more().role, branch.more().way = "branch", name
            self._route.attempts.begin(branch, self._targets[name])

    def go_on(self, branch: Delivery) -> None:
        """Choose anew for one way of a fan-out, since its route leads elsewhere now.

        It goes where it went if the route still leads there, else to a target that no other way of its message
        was chosen for: nobody gets a message twice.
        """
        details = branch.more()
        assert details.parent is not None
        above = details.parent.more()
        names = self._route.plan.choose(branch.message)
        if details.way not in names:
            free = [name for name in names if name not in above.ways]
            if not free:
                self._route.give_up(branch, "unroutable", f"the route does not lead to {details.way} any more")
                return
            above.ways = (*(name for name in above.ways if name != details.way), free[0])
            details.way = free[0]
        self._route.attempts.begin(branch, self._targets[details.way])

    def rewire(self, targets: Mapping[str, Child]) -> None:
        """The route leads to these actors from now on."""
        self._targets = targets

    def not_done(self, delivery: Delivery, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `names` that had not settled before a crash, or in an earlier attempt of its source."""
        details = delivery.more()
        return tuple(name for name in names if (details.number, details.path + name) not in details.done)

    def ended_before(self, part: Delivery) -> bool:
        """Whether a part had ended so before, and not at a target."""
        details = part.more()
        return details.parent is not None and (details.number, details.path) in details.done

    def ended(self, part: Delivery, parent: Delivery, settlement: Settlement) -> None:
        details, above = part.more(), parent.more()
        if details.role != "fan_out":
            if row := part.root.row:
                self._journal.record_delivery(row, *part.place)
            if settlement.outcome != "returned" and (redelivery := part.redelivery) is not None:
                redelivery.record(self._route.name, part.place)
        above.worst = worse(above.worst, settlement)
        above.pending -= 1
        if above.chain:
            self._route.ready.append(above.chain.popleft())
        if not above.pending:
            del self._parents[parent]
            self._route.end(parent, above.worst)

    def end_waiting(self, part: Delivery, settlement: Settlement) -> bool:
        """End a part before its turn, while the one ahead of it goes on; false where it does not wait here."""
        parent = part.more().parent
        above = parent.more() if parent is not None else None
        if above is None or above.chain is None or part not in above.chain:
            return False
        chain = above.chain
        chain.remove(part)
        # Nobody is next for that.
        above.chain = None
        self._route.end(part, settlement)
        above.chain = chain
        return True

    def _child(self, parent: Delivery, message: Message, number: int, path: str) -> Delivery:
        child = Delivery(self._route, message, None, parent.enqueued_at)
        child.accepted_at = parent.accepted_at
        details, above = child.more(), parent.more()
        details.parent, details.number, details.path = parent, number, path
        details.position, details.done, details.former = above.position, above.done, above.former
        if message is parent.message:
            child.entered, details.start = parent.entered, above.start
        else:
            details.start = above.position
        return child

    def __iter__(self) -> Iterator[Delivery]:
        """The parents, and the parts that wait for the one before them."""
        for parent in self._parents:
            yield parent
            yield from parent.more().chain or ()
