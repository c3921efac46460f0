"""What must hold under faults, with fewer rounds than `bin/faults` makes."""

from pathlib import Path

import pytest

from tests.faults.kill_router import kill_router
from tests.loop import Run


@pytest.mark.timeout(300)
def test_a_killed_router_loses_nothing_that_it_acknowledged(run: Run, tmp_path: Path) -> None:
    """Ten kills, at random moments and named places: order by key holds, and only what was in flight is repeated."""
    verdict, wrong = run(kill_router(tmp_path, rounds=10, seed=7), deadline_s=240)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.acknowledged > 100
    assert verdict.dead > 0
