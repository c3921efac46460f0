"""Which topology may have handled a message."""

from tests.faults.account import Account, Received
from tests.faults.eras import Eras


def delivered(version: int, *, sent: float, at: float) -> Account:
    return Account(sent={"a": sent}, received=[Received("a", "key", 0, "a", at, version)])


def test_what_is_under_way_during_a_change_may_be_handled_by_either() -> None:
    """Sent before the answer and delivered behind the question: both topologies may have had it."""
    eras = Eras()
    eras.add(1, 0.0, 0.0)
    eras.add(2, 10.0, 11.0)

    for version in (1, 2):
        assert not list(eras.mixed(delivered(version, sent=9.0, at=10.5)))
        assert not list(eras.mixed(delivered(version, sent=10.5, at=12.0)))


def test_no_topology_handles_what_came_before_it_or_behind_it() -> None:
    """Delivered before it was asked for, or sent when another one was known to run."""
    eras = Eras()
    eras.add(1, 0.0, 0.0)
    eras.add(2, 10.0, 11.0)

    assert list(eras.mixed(delivered(2, sent=8.0, at=9.0)))
    assert list(eras.mixed(delivered(1, sent=11.5, at=12.0)))
    assert list(eras.mixed(delivered(3, sent=11.5, at=12.0)))


def test_a_change_that_was_cut_short_may_have_run_until_then() -> None:
    """It was asked for and never answered; behind the restart only the old one counts."""
    eras = Eras()
    eras.add(1, 0.0, 0.0)
    eras.add(2, 10.0)
    eras.add(1, 10.5, 12.0)

    assert not list(eras.mixed(delivered(2, sent=9.0, at=10.2)))
    assert not list(eras.mixed(delivered(1, sent=10.2, at=13.0)))
    assert list(eras.mixed(delivered(2, sent=12.5, at=13.0)))
