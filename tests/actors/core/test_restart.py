"""When an actor is started again, how soon, and who with it: pure decisions."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.restart import Again, GiveUp, Leave, Restart, RestartPolicy, Strategy, affected, decide

fractions = st.floats(0.0, 1.0, exclude_max=True)
policies = st.builds(
    RestartPolicy,
    restart=st.sampled_from(["permanent", "transient"]),
    max_restarts=st.integers(0, 10),
    within_s=st.floats(0.1, 1000.0),
    min_delay_s=st.floats(0.0, 10.0),
    max_delay_s=st.floats(10.0, 100.0),
    jitter=st.floats(0.0, 1.0),
)


@pytest.mark.parametrize(
    ("restart", "crashed", "again"),
    [
        ("permanent", True, True),
        ("permanent", False, True),
        ("transient", True, True),
        ("transient", False, False),
        ("temporary", True, False),
        ("temporary", False, False),
    ],
)
def test_the_restart_type_says_whether_it_comes_back(restart: Restart, crashed: bool, again: bool) -> None:
    decision = decide(RestartPolicy(restart), (), 0.0, crashed=crashed, random=0.5)
    assert isinstance(decision, Again if again else Leave)


def test_a_crash_more_than_max_restarts_within_the_window_is_one_too_many() -> None:
    policy = RestartPolicy(max_restarts=3, within_s=10.0)
    history: tuple[float, ...] = ()
    for at in (0.0, 1.0, 2.0):
        decision = decide(policy, history, at, crashed=True, random=0.5)
        assert isinstance(decision, Again)
        history = decision.history
    assert decide(policy, history, 3.0, crashed=True, random=0.5) == GiveUp(3)


def test_the_delay_doubles_up_to_its_maximum() -> None:
    policy = RestartPolicy(max_restarts=10, min_delay_s=1.0, max_delay_s=10.0, jitter=0.0)
    delays = []
    history: tuple[float, ...] = ()
    for at in range(6):
        decision = decide(policy, history, float(at), crashed=True, random=0.5)
        assert isinstance(decision, Again)
        delays.append(decision.delay_s)
        history = decision.history
    assert delays == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_after_a_quiet_period_the_count_and_the_delay_begin_anew() -> None:
    policy = RestartPolicy(max_restarts=2, within_s=10.0, min_delay_s=1.0, jitter=0.0)
    assert isinstance(decide(policy, (0.0, 1.0), 9.9, crashed=True, random=0.5), GiveUp)
    assert decide(policy, (0.0, 1.0), 10.5, crashed=True, random=0.5) == Again(2.0, (1.0, 10.5))
    assert decide(policy, (0.0, 1.0), 11.0, crashed=True, random=0.5) == Again(1.0, (11.0,))


@given(policies, st.lists(st.floats(0.0, 100.0), max_size=20), fractions)
def test_a_delay_is_within_its_bounds_and_its_jitter(policy: RestartPolicy, times: list[float], random: float) -> None:
    history = tuple(sorted(times))
    decision = decide(policy, history, 100.0, crashed=True, random=random)
    recent = [at for at in history if 100.0 - at < policy.within_s]
    if len(recent) >= policy.max_restarts:
        assert decision == GiveUp(len(recent))
        return
    assert isinstance(decision, Again)
    assert decision.history == (*recent, 100.0)
    middle = min(policy.max_delay_s, policy.min_delay_s * 2 ** len(recent))
    assert 0.0 <= decision.delay_s <= policy.max_delay_s
    assert decision.delay_s == pytest.approx(middle, rel=policy.jitter + 1e-9, abs=1e-9)


@given(policies, st.lists(st.floats(0.0, 20.0), min_size=1, max_size=60), st.lists(fractions, min_size=60, max_size=60))
def test_no_window_ever_holds_more_restarts_than_allowed(
    policy: RestartPolicy, gaps: list[float], randoms: list[float]
) -> None:
    """Whenever it crashes: the restarts before it is given up keep to the intensity."""
    now, restarts = 0.0, list[float]()
    history: tuple[float, ...] = ()
    for gap, random in zip(gaps, randoms, strict=False):
        now += gap
        decision = decide(policy, history, now, crashed=True, random=random)
        if isinstance(decision, GiveUp):
            break
        assert isinstance(decision, Again)
        history = decision.history
        restarts.append(now)
        assert len(history) <= policy.max_restarts
    for first, last in zip(restarts, restarts[policy.max_restarts :], strict=False):
        assert last - first >= policy.within_s


# Groups

groups = st.lists(st.text("abcdef", min_size=1), min_size=1, unique=True)


@given(groups, st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]), st.data())
def test_the_crashed_one_is_always_among_those_who_restart(
    children: list[str], strategy: Strategy, data: st.DataObject
) -> None:
    crashed = data.draw(st.sampled_from(children))
    restarted = affected(strategy, children, crashed)
    assert crashed in restarted
    assert set(restarted) <= set(children)
    positions = [children.index(name) for name in restarted]
    assert all(before < after for before, after in pairwise(positions)), "in start order"


@given(groups, st.data())
def test_each_strategy_names_its_own(children: list[str], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(children) - 1))
    crashed = children[position]
    assert affected("one_for_one", children, crashed) == (crashed,)
    assert affected("one_for_all", children, crashed) == tuple(children)
    assert affected("rest_for_one", children, crashed) == tuple(children[position:])
