"""Several in place of one: the parts of a split, and the ways to several targets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from actors.core.child import Child
from actors.core.message import Message, Settlement, worse
from actors.core.spec import Parts
from router.routing.delivery import DELIVERED, Delivery
from router.store.journal import Journal

if TYPE_CHECKING:
    from router.routing.route import Route


class Branches:
    """Keeps the parents of what has not ended; a parent ends with the last of its parts, as the worst of them.

    The journal records each part and branch as it ends, so that a replay after a crash sends only the rest.
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
        details.role, details.pending = "fan_out", len(names)
        self._parents[delivery] = None
        branches = [self._child(delivery, delivery.message, details.number, details.path) for _ in names]
        for name, branch in zip(names, branches, strict=True):
            branch.more().role = "branch"
            self._route.attempts.begin(branch, self._targets[name])

    def not_done(self, delivery: Delivery, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `names` that had not settled before a crash."""
        details = delivery.more()
        return tuple(name for name in names if (details.number, details.path + name) not in details.done)

    def ended_before(self, part: Delivery) -> bool:
        """Whether a part had ended before a crash, and not at a target."""
        details = part.more()
        return details.parent is not None and (details.number, details.path) in details.done

    def ended(self, part: Delivery, parent: Delivery, settlement: Settlement) -> None:
        details, above = part.more(), parent.more()
        if details.role != "fan_out" and (row := part.root.row):
            self._journal.record_delivery(row, *part.place)
        above.worst = worse(above.worst, settlement)
        above.pending -= 1
        if above.chain:
            self._route.ready.append(above.chain.popleft())
        if not above.pending:
            del self._parents[parent]
            self._route.end(parent, above.worst)

    def _child(self, parent: Delivery, message: Message, number: int, path: str) -> Delivery:
        child = Delivery(self._route, message, None, parent.enqueued_at)
        details, above = child.more(), parent.more()
        details.parent, details.number, details.path = parent, number, path
        details.position, details.done = above.position, above.done
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
