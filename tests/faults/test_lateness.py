"""How late messages arrive that come while something is changed."""

from tests.faults.account import Account, Received
from tests.faults.lateness import Lateness


def account(*messages: tuple[int, float, float]) -> Account:
    """Of one key: number, sent and accepted at once, delivered."""
    made = Account()
    for number, sent, at in messages:
        id = f"key-{number}"
        made.sent[id] = made.accepted[id] = sent
        made.acknowledged[id] = "key", number
        made.received.append(Received(id, "key", number, id, at))
    return made


def test_what_is_sent_between_question_and_answer_counts() -> None:
    """Each change has its own; what came before, between and behind them is counted apart."""
    late = Lateness(
        account((0, 0.5, 0.6), (1, 1.5, 1.7), (2, 2.5, 2.8), (3, 3.5, 3.9), (4, 4.5, 5.0)),
        changes=[(1.0, 2.0), (3.0, 4.0)],
        down=[],
    )

    assert [[round(delay, 3) for delay in each] for each in late.during_changes()] == [[0.2], [0.4]]
    assert [round(delay, 3) for delay in late.otherwise()] == [0.3]


def test_what_waits_for_its_predecessor_does_not_count() -> None:
    """Order by key makes it late, whatever is changed meanwhile."""
    late = Lateness(account((0, 1.1, 1.4), (1, 1.2, 1.5)), changes=[(1.0, 2.0)], down=[])

    assert [len(each) for each in late.during_changes()] == [1]


def test_what_was_sent_right_behind_a_restart_counts_nowhere() -> None:
    """There is a backlog then."""
    late = Lateness(account((0, 3.5, 3.6)), changes=[(1.0, 2.0), (9.0, 10.0)], down=[(2.5, 3.0)])

    assert late.during_changes() == [[], []]
    assert late.otherwise() == []
