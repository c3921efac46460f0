"""What must hold under faults, with fewer rounds than `bin/faults` makes."""

from pathlib import Path

import pytest

from tests.faults.hot_swap import hot_swap
from tests.faults.kill_broker import kill_broker
from tests.faults.kill_router import kill_router
from tests.faults.kill_router_mqtt import kill_router_mqtt
from tests.faults.kill_worker import kill_worker
from tests.faults.partition import partition
from tests.faults.redis_restart import redis_restart
from tests.loop import Run


@pytest.mark.timeout(300)
def test_a_killed_router_loses_nothing_that_it_acknowledged(run: Run, tmp_path: Path) -> None:
    """Ten kills, at random moments and named places: order by key holds, and only what was in flight is repeated."""
    verdict, wrong = run(kill_router(tmp_path, rounds=10, seed=7), deadline_s=240)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.acknowledged > 100
    assert verdict.dead > 0


@pytest.mark.needs("mosquitto")
@pytest.mark.timeout(300)
def test_a_killed_router_loses_nothing_that_it_had_from_a_broker(run: Run, tmp_path: Path) -> None:
    """Six kills between MQTT and MQTT: what the broker has acknowledged to its producers arrives, in order."""
    verdict, wrong = run(kill_router_mqtt(tmp_path, rounds=6, seed=7), deadline_s=240)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.acknowledged > 100


@pytest.mark.needs("mosquitto")
@pytest.mark.timeout(300)
def test_a_killed_broker_loses_nothing_that_the_router_acknowledged(run: Run, tmp_path: Path) -> None:
    """Three kills, of which some take the broker's disk along: `republish` and the fallback bring everything."""
    verdict, wrong = run(kill_broker(tmp_path, rounds=3, seed=7), deadline_s=240)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.acknowledged > 100


@pytest.mark.needs("mosquitto")
@pytest.mark.timeout(300)
def test_a_dead_peer_is_noticed_and_costs_nothing(run: Run, tmp_path: Path) -> None:
    """Three kinds of partition: noticed within the keepalive, and from then on the fallback is used at once."""
    verdict, wrong = run(partition(tmp_path, rounds=3, seed=7), deadline_s=240)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.slowest_notice_s > 0


@pytest.mark.needs("mosquitto")
@pytest.mark.timeout(300)
def test_changes_under_load_lose_nothing(run: Run, tmp_path: Path) -> None:
    """Sixteen changes, some refused, two cut short by kill -9: nobody is turned away, and one topology runs."""
    # How fast it goes is for `bin/faults`, with the machine to itself.
    swapping = hot_swap(tmp_path, rounds=16, seed=7, rate=150, gap_limit_s=1.0, recovery_limit_s=10.0)
    verdict, wrong = run(swapping, deadline_s=240)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.acknowledged > 500
    assert verdict.delay_max_s > 0


@pytest.mark.needs("redis-server")
@pytest.mark.timeout(120)
def test_a_redis_that_was_away_costs_nothing(run: Run, tmp_path: Path) -> None:
    """Away for half a second, twice, the second time by kill -9: what comes meanwhile is spilled, and goes in order."""
    # How fast the webhook is meanwhile is for `bin/faults`, with the machine to itself.
    away = redis_restart(tmp_path, rounds=2, seed=7, policies=("always",), down_s=0.5, normal_s=0.3, p99_limit_s=1.0)
    verdict, wrong = run(away, deadline_s=100)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.acknowledged > 100


@pytest.mark.needs("redis-server")
@pytest.mark.timeout(120)
def test_a_killed_worker_leaves_nothing_undone(run: Run, tmp_path: Path) -> None:
    """Two of three, once: each job is done, and none twice but those that they had in hand; order by key holds."""
    verdict, wrong = run(kill_worker(tmp_path, rounds=1, seed=7, jobs=300, pace_s=0.2), deadline_s=100)

    assert not wrong
    assert verdict.holds, str(verdict)
    assert verdict.acknowledged >= 300
    assert verdict.repeated > 0
