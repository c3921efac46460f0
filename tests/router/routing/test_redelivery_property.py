"""A queue before random routes with random targets: each message ends for good once, and what has ended stays so."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.errors import BackPressureError
from actors.core.message import Message
from router.routing.choose import always
from router.routing.plan import RoutePlan
from router.routing.rewire import rewire
from tests.loop import Run
from tests.router.routing.harness import System, retry, system
from tests.router.routing.shelf import Shelf
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse
from tests.router.routing.test_property import crashes_now_and_then, pauses, split_in_two

TARGETS = ("a", "b")
FALLBACK = "c"
NAMES = (*TARGETS, FALLBACK)
ATTEMPTS = 3

ANSWERS: st.SearchStrategy[Answer] = st.sampled_from(
    [OK, OK, OK, Refuse(), Refuse(), Refuse("overload", retry_after_s=17.0), Refuse(retryable=False), Crash(), Hang()]
)
SENDS = st.tuples(st.just("send"), st.integers(1, 3), st.sampled_from([None, None, 15.0]))
ACTIONS = st.one_of(
    SENDS,
    SENDS,
    SENDS,
    st.tuples(st.just("advance"), st.sampled_from([0.0, 1.0, 12.0])),
    st.tuples(st.sampled_from(["away", "back", "let go", "restart"]), st.sampled_from(NAMES)),
    st.tuples(st.just("swap"), st.sampled_from([("a",), ("b",), TARGETS]), st.sampled_from([(), (FALLBACK,)])),
)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    steps = draw(st.lists(st.sampled_from([split_in_two, pauses, crashes_now_and_then]), max_size=3, unique=True))
    return {
        "concurrency": draw(st.integers(1, 3)),
        "timeout_s": draw(st.sampled_from([1.0, 10.0])),
        "retry": retry(on_unknown=draw(st.sampled_from(["retry", "fallback", "dead_letter"]))),
        "fallback": draw(st.sampled_from([(), (FALLBACK,)])),
        "capacity": draw(st.sampled_from([2, 1000])),
        "steps": tuple(steps),
        "repeatable": tuple(True for _ in steps),
    }


async def act(router: System, shelf: Shelf, action: tuple[Any, ...], sent: list[Message]) -> None:
    match action:
        case ("send", parts, lifetime_s):
            expiry = {} if lifetime_s is None else {"expirytime": router.clock.time() + lifetime_s}
            try:
                sent.append(shelf.send({"n": len(sent), "key": "", "parts": parts, "part": 0}, **expiry))
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
        case ("swap", to, fallback):
            swap(router, to, fallback)
    await router.settle()


def swap(router: System, to: tuple[str, ...], fallback: tuple[str, ...]) -> None:
    """Lead every route elsewhere."""
    for name, route in router.routes.items():
        before = route.plan
        targets = (*to, *fallback)
        plan = RoutePlan(
            name,
            before.sources,
            always(to),
            targets,
            steps=before.steps,
            repeatable=before.repeatable,
            concurrency=before.concurrency,
            timeout_s=before.timeout_s,
            retry=before.retry,
            fallback=fallback,
        )
        rewire(route, plan, {target: router.child(target) for target in targets}, keeps_order=True)
        route.pump()


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    plan=plans(),
    several=st.booleans(),
    fan_out=st.booleans(),
    calm=st.booleans(),
    scripts=st.tuples(*[st.lists(ANSWERS, max_size=8)] * len(NAMES)),
    actions=st.lists(ACTIONS, min_size=1, max_size=20),
)
def test_what_is_given_back_ends_once_and_what_has_ended_is_not_repeated(
    run: Run,
    plan: dict[str, Any],
    several: bool,
    fan_out: bool,
    calm: bool,
    scripts: tuple[list[Answer], ...],
    actions: list[tuple[Any, ...]],
) -> None:
    """`System` looks at the ledgers after each turn of the loop.

    Of an attempt that nobody heard the end of, of one at a fallback and after a swap nobody can know whether what ended
    is repeated; so where it is `calm` there are none of these.
    """
    if calm:
        plan["fallback"] = ()
        scripts = tuple([OK if answer == Hang() else answer for answer in answers] for answers in scripts)
        actions = [action for action in actions if action[0] in ("send", "advance")]

    async def scenario(folder: Path) -> None:
        async with system(folder) as router:
            for name, answers in zip(NAMES, scripts, strict=True):
                router.target(name).answers.extend(answers)
            to = TARGETS if fan_out else TARGETS[:1]
            router.route(*to, **plan)
            if several:
                router.route(*to, name="s", **plan)
            shelf = Shelf(router, attempts=ATTEMPTS)
            sent: list[Message] = []
            for action in actions:
                await act(router, shelf, action, sent)

            for name in NAMES:
                router.child(name).available()
            for _ in range(400):
                for script in router.scripts.values():
                    script.let_go()
                if router.all_is_empty() and not shelf.waiting and not shelf.active:
                    break
                await router.advance(1.0)
            assert router.all_is_empty(), router.picture()
            assert not shelf.waiting
            assert not shelf.active
            assert not shelf.released
            # What was given up long ago may still be in hand somewhere.
            await router.settle()

            for message in sent:
                *returned, last = shelf.ends(message)
                assert set(returned) <= {"returned"}
                assert last != "returned"
                assert len(returned) < ATTEMPTS
            for route in router.routes.values():
                balance = route.balance()
                assert sum(balance.outcomes.values()) == balance.accepted + balance.split_out
                assert route.ledger.retries == 0
            assert all(router.attempts_add_up(name) for name in NAMES)

            if calm:
                for script in router.scripts.values():
                    assert max(Counter(message.id for message in script.done).values(), default=0) <= 1 + several

    with tempfile.TemporaryDirectory() as folder:
        run(scenario(Path(folder)))
