"""Random routes, random targets and random time: what must hold, holds."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.errors import BackPressureError
from actors.core.limits import Limiter
from actors.core.message import Message
from actors.core.step import Parts
from router.routing.plan import RoutePlan
from tests.loop import Run
from tests.router.routing.harness import System, Ticket, retry, system
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse, Script

TARGETS = ("a", "b")
FALLBACK = "c"

ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.just(OK),
    st.just(OK),
    st.just(OK),
    st.sampled_from([Refuse(), Refuse("overload", retry_after_s=7.0), Refuse(retryable=False), Refuse("unknown")]),
    st.sampled_from([Crash(), Hang()]),
)


def split_in_two(message: Message, _: Any) -> Message | Parts:
    if message.data["parts"] < 2:
        return message
    return Parts(message.child(n, {**message.data, "part": n}) for n in range(1, message.data["parts"] + 1))


async def pauses(message: Message, _: Any) -> Message:
    await asyncio.sleep(0)
    return message


def crashes_now_and_then(message: Message, _: Any) -> Message:
    """Every fourth message crashes it each time, so it is quarantined."""
    if message.data["n"] % 4 == 3:
        raise ZeroDivisionError
    return message


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "concurrency": draw(st.integers(1, 3)),
        "timeout_s": draw(st.sampled_from([1.0, 10.0])),
        "retry": retry(draw(st.integers(1, 3)), on_unknown=draw(st.sampled_from(["retry", "fallback", "dead_letter"]))),
        "fallback": draw(st.sampled_from([(), (FALLBACK,)])),
        "max_waiting": draw(st.sampled_from([1, 3, 1000])),
        "capacity": draw(st.sampled_from([2, 1000])),
        "durable": draw(st.booleans()),
    }
    if draw(st.booleans()):
        plan["order_by"] = lambda message: message.data["key"]
    steps = draw(st.lists(st.sampled_from([split_in_two, pauses, crashes_now_and_then]), max_size=3, unique=True))
    plan["steps"], plan["repeatable"] = tuple(steps), tuple(draw(st.booleans()) for _ in steps)
    return plan


SENDS = st.tuples(st.just("send"), st.sampled_from(["x", "y", ""]), st.integers(1, 3), st.sampled_from([None, 5.0]))
ACTIONS = st.one_of(
    SENDS,
    SENDS,
    SENDS,
    st.tuples(st.just("advance"), st.sampled_from([0.0, 0.5, 1.0, 3.0, 12.0])),
    st.tuples(st.just("away"), st.sampled_from([*TARGETS, FALLBACK])),
    st.tuples(st.just("back"), st.sampled_from([*TARGETS, FALLBACK])),
    st.tuples(st.just("let go"), st.sampled_from([*TARGETS, FALLBACK])),
    st.tuples(st.just("restart"), st.sampled_from([*TARGETS, FALLBACK, "route/r"])),
)


async def act(router: System, action: tuple[Any, ...], tickets: list[Ticket]) -> None:
    match action:
        case ("send", key, parts, lifetime_s):
            expiry = {} if lifetime_s is None else {"expirytime": router.clock.time() + lifetime_s}
            data = {"n": len(tickets), "key": key, "parts": parts, "part": 0}
            try:
                tickets.append(router.send(data, **expiry))
            except BackPressureError:
                return
        case ("advance", seconds):
            await router.advance(seconds)
        case ("away", name):
            router.child(name).unavailable("the cable is out")
        case ("back", name):
            router.child(name).available()
        case ("let go", name):
            router.scripts[name].let_go()
        case ("restart", name):
            await router.supervisor.restart(name)
    await router.settle()


def in_order(script: Script, plan: RoutePlan) -> bool:
    """Whether the first attempts at the messages of each key came in the order of sending."""
    assert plan.order_by is not None
    first: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for message in script.seen:
        place = (message.data["n"], message.data["part"])
        if message.data["key"] and place not in first[message.data["key"]]:
            first[message.data["key"]].append(place)
    return all(places == sorted(places) for places in first.values())


def both(_: Message) -> tuple[str, ...]:
    return TARGETS


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    plan=plans(),
    fan_out=st.booleans(),
    scripts=st.tuples(*[st.lists(ANSWERS, max_size=6)] * 3),
    rate=st.none() | st.integers(1, 3),
    actions=st.lists(ACTIONS, min_size=1, max_size=25),
)
def test_every_accepted_message_ends_once_and_every_ledger_balances(
    run: Run,
    plan: dict[str, Any],
    fan_out: bool,
    scripts: tuple[list[Answer], ...],
    rate: int | None,
    actions: list[tuple[Any, ...]],
) -> None:
    """`System` looks at the ledger after each turn of the loop; here it is what is left at the end."""

    async def scenario(folder: Path) -> None:
        async with system(folder) as router:
            for name, answers in zip((*TARGETS, FALLBACK), scripts, strict=True):
                limiter = Limiter(rate, 2.0) if rate is not None and name == "a" else None
                router.target(name, limiter=limiter).answers.extend(answers)
            route = router.route(*(TARGETS if fan_out else TARGETS[:1]), **plan)
            tickets: list[Ticket] = []
            for action in actions:
                await act(router, action, tickets)

            for name in (*TARGETS, FALLBACK):
                router.scripts[name].answers.clear()
                router.child(name).available()
            for _ in range(400):
                for script in router.scripts.values():
                    script.let_go()
                if router.all_is_empty():
                    break
                await router.advance(1.0)
            assert router.all_is_empty(), router.picture()
            # What was given up long ago may still be in hand somewhere.
            await router.settle()

            ends = Counter(ticket.settled_times for ticket in tickets)
            assert set(ends) <= {1}, ends
            ledger = route.ledger
            assert ledger.accepted == len(tickets)
            assert sum(route.balance().outcomes.values()) == ledger.accepted + ledger.split_out
            assert all(router.attempts_add_up(name) for name in router.scripts)
            if not fan_out:
                assert max(script.most_at_once for script in router.scripts.values()) <= 1
            if route.plan.order_by is not None:
                assert all(in_order(router.scripts[name], route.plan) for name in TARGETS)

    with tempfile.TemporaryDirectory() as folder:
        run(scenario(Path(folder)))
