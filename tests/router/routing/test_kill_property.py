"""A durable route, killed at random moments and started again: what was accepted is delivered or buried."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.message import Message
from tests.loop import Run
from tests.router.routing.harness import Ticket, retry, system
from tests.router.routing.steps import splits
from tests.router.routing.targets import OK, Answer, Hang, Refuse

ANSWERS: st.SearchStrategy[Answer] = st.sampled_from([OK, OK, Refuse(), Refuse(retryable=False), Hang()])
RUNS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([1, 2, 3]), max_size=5),
        st.lists(ANSWERS, max_size=6),
        st.sampled_from([0.0, 1.0, 3.0]),
        st.sampled_from([None, 0, 3, 10, 30]),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.slow
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    runs=RUNS,
    fan_out=st.booleans(),
    ordered=st.booleans(),
    concurrency=st.integers(1, 3),
    capacity=st.sampled_from([1, 3, 100]),
)
def test_what_was_accepted_survives_every_kill(
    run: Run,
    runs: list[tuple[list[int], list[Answer], float, int | None]],
    fan_out: bool,
    ordered: bool,
    concurrency: int,
    capacity: int,
) -> None:
    """Every part of what was accepted reaches every target or a dead letter.

    A run ends so many turns of the loop after the sending, or (None) after a while, with all that was lazy on
    disk: where all runs end like that, nothing is repeated either.
    """
    targets = ("a", "b") if fan_out else ("a",)
    plan: dict[str, Any] = {
        "durable": True,
        "concurrency": concurrency,
        "capacity": capacity,
        "retry": retry(3),
        "steps": (splits,),
        "repeatable": (True,),
        "order_by": (lambda _: "one") if ordered else None,
    }

    async def scenario(folder: Path) -> None:
        path = folder / "router.db"
        wanted: set[tuple[str, str]] = set()
        got: list[tuple[str, str]] = []
        sent = 0
        for sizes, answers, pause_s, turns in runs:
            async with system(path) as router:
                scripts = {name: router.target(name) for name in targets}
                scripts["a"].answers.extend(answers)
                router.route(*targets, recover=True, **plan)
                tickets: list[Ticket] = []
                for size in sizes:
                    sent += 1
                    parts = [f"{sent}.{part}" for part in range(size)]
                    tickets.append(router.send(parts))
                for _ in range(turns or 0):
                    await asyncio.sleep(0)
                if turns is None:
                    await router.advance(pause_s)
                # Before the copy, which may hold more than that.
                accepted = [ticket for ticket in tickets if ticket.was_accepted()]
                wanted |= {(part, name) for ticket in accepted for part in ticket.message.data for name in targets}
                got += [(message.data, name) for name in targets for message in scripts[name].done]
                path = await router.killed()
        async with system(path) as router:
            scripts = {name: router.target(name) for name in targets}
            router.route(*targets, recover=True, **plan)
            await router.until(router.all_is_empty, within_s=100.0)
            got += [(message.data, name) for name in targets for message in scripts[name].done]
            buried = {(Message.from_bytes(letter.message).data, letter.target) for letter in await router.letters()}
            assert wanted <= set(got) | buried
            if all(turns is None for _, _, _, turns in runs):
                assert wanted == set(got) | buried
                assert len(got) == len(set(got))
            if ordered:
                for name in targets:
                    in_last_run = scripts[name].done_data
                    assert in_last_run == sorted(in_last_run, key=lambda data: [int(n) for n in data.split(".")])

    with tempfile.TemporaryDirectory() as folder:
        run(scenario(Path(folder)))
