"""After a switch: what is no longer used ends, once it is empty."""

from __future__ import annotations

from typing import Final

from actors.core.child import Child
from router.change.assembly import ROUTE, Assembly
from router.change.conservation import Account
from router.change.patience import LOOK_S, until, until_answered
from router.change.preparation import Preparation
from router.routing.rewire import bury_all
from router.routing.route import Route

BURY_S: Final = 5.0
"""How long it may take until one more of what a route had not ended in time is a dead letter."""

ENDED: Final = "the route is not in the topology any more"


async def retire(prepared: Preparation, assembly: Assembly, account: Account, timeout_s: float) -> None:
    """Stop what is no longer used, once it is empty; what is not within `timeout_s` becomes dead letters.

    Each route that ends is entered in the account.
    """
    supervisor = assembly.supervisor
    deadline = assembly.clock.now() + timeout_s
    gone = [change.name for change in prepared.diff.actors if change.fate == "stopped"]
    leaving = [*(supervisor.children[name] for name in gone), *prepared.old.values()]
    await supervisor.drain_children(leaving, timeout_s)
    await until_answered(leaving, deadline, assembly.clock)
    for change in prepared.diff.routes:
        if change.fate == "stopped":
            await _end_route(assembly, assembly.routes[change.name], account, deadline)
    await until(lambda: not any(_has_work(child) for child in leaving), deadline, assembly.clock)
    for child in leaving:
        child.mailbox.clear(f"{child.name} is stopped")
    await supervisor.dismiss(prepared.old.values())
    await supervisor.remove(gone)
    for name in gone:
        del assembly.outlets[name]
    for _, _, made in prepared.superseded:
        if made is not None:
            await made.close()
    if prepared.before is not None:
        for name in prepared.before.connections.keys() - prepared.after.connections.keys():
            made = assembly.shared.supersede(prepared.before.connections[name].spec.kind, name)
            if made is not None:
                await made.close()


async def _end_route(assembly: Assembly, route: Route, account: Account, deadline: float) -> None:
    route.intake.leave()
    await until(lambda: _is_empty(route), deadline, assembly.clock)
    ended, deadline = -1, 0.0
    while not _is_empty(route):
        if route.ledger.dead_lettered > ended:
            ended, deadline = route.ledger.dead_lettered, assembly.clock.now() + BURY_S
        elif assembly.clock.now() >= deadline:
            # The disk fails, say: what is in the journal becomes dead letters with the next start.
            break
        bury_all(route, ENDED)
        route.backlog.refill()
        await assembly.clock.sleep(LOOK_S)
    account.end(route)
    route.close()
    del assembly.routes[route.name]
    await assembly.supervisor.remove([ROUTE + route.name])


def _is_empty(route: Route) -> bool:
    return route.under_way.quiet and not route.backlog.size


def _has_work(child: Child) -> bool:
    return bool(child.mailbox.messages or child.mailbox.in_hand)
