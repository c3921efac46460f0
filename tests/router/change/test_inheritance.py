"""What a step remembers is known to the one that takes its place, wherever that stands, and after a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.change.swap import Swap
from tests.loop import Run
from tests.router.engine_stage import Stage, running, state_folder, topology_of

ROUTE = """
actors: {tap: {type: tap}, a: {type: sink}}
routes: {r: {from: tap, to: a, durable: true, steps: [%s]}}
"""
BY_A, BY_B = 'dedup: {key: "{{ data.a }}", for: %s}', 'dedup: {key: "{{ data.b }}", for: %s}'
LATER_A, LATER_B = BY_A % "2h", BY_B % "2h"
FIRST_A, FIRST_B = BY_A % "1h", BY_B % "1h"


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def of(*steps: str) -> str:
    return ROUTE % ", ".join(f"{{{step}}}" for step in steps)


async def change(stage: Stage, text: str) -> None:
    swap = Swap(stage.engine.assembly, topology_of(text, stage.play))
    await swap.prepare()
    swap.switch()
    assert (await swap.retire(5.0)).difference == 0


async def outcome(stage: Stage, **data: Any) -> str | None:
    return await stage.outcome(stage.tap().send(data))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((FIRST_A, FIRST_B), (LATER_A, LATER_B)),
        ((FIRST_A, FIRST_B), (FIRST_B, FIRST_A)),
        ((FIRST_A, FIRST_B), (FIRST_B, LATER_A)),
    ],
    ids=["another window", "another order", "both"],
)
def test_copies_are_known_over_a_swap_and_a_restart(
    run: Run, state: Path, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    async def main() -> None:
        async with running(of(*before), state) as stage:
            assert await outcome(stage, a=1, b=2) == "delivered"
            await change(stage, of(*after))
            assert await outcome(stage, a=1, b=3) == "deduplicated"
            assert await outcome(stage, a=4, b=2) == "deduplicated"
            assert await outcome(stage, a=2, b=1) == "delivered"
        async with running(of(*after), state) as stage:
            for a, b in ((1, 7), (8, 2), (2, 9), (10, 1)):
                assert await outcome(stage, a=a, b=b) == "deduplicated"

    run(main())
