"""What a verdict takes for disorder, and what it does not."""

import pytest

from tests.faults.account import Account, Fault, Received


def account(*deliveries: tuple[int, float], fault: Fault) -> Account:
    """Messages of one key, sent a second apart from 0.5 s on, and when each delivery was seen."""
    made = Account(faults=[fault])
    for sequence, at in deliveries:
        id = f"backed/key-{sequence}"
        made.acknowledged[id] = "backed/key", sequence
        made.sent[id] = sequence + 0.5
        made.received.append(Received(id, "backed/key", sequence, "same", at))
    return made


STOOD_STILL = Fault(1.0, 4.0, holds_back=("backed/",))


def test_what_a_broker_had_acknowledged_before_it_stood_still_may_come_behind_it() -> None:
    verdict = account((1, 1.9), (2, 2.9), (0, 4.1), fault=STOOD_STILL).verdict()

    assert verdict.holds
    assert verdict.overtaken == 1


@pytest.mark.parametrize(
    "deliveries",
    [
        pytest.param(((1, 1.9), (0, 3.0), (0, 4.1)), id="it came twice: the router had not seen it acknowledged"),
        pytest.param(((0, 0.6), (2, 2.9), (1, 4.1)), id="it was sent while the broker stood still"),
    ],
)
def test_any_other_disorder_over_a_broker_that_stood_still_is_one(deliveries: tuple[tuple[int, float], ...]) -> None:
    verdict = account(*deliveries, fault=STOOD_STILL).verdict()

    assert not verdict.holds
    assert verdict.overtaken == 0
