"""One step for many rows, and the order of a batch."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from actors.kit.statement import EXACT_UP_TO, ROWS_A_STEP, Job, Parameters, Place, Several, Statement, plan

INSERT = Statement("INSERT INTO t (a, b) VALUES ", "(?, ?)", place=Place.FIRST)
UPDATE = Statement("UPDATE t SET b = ? WHERE a = ?")
TOUCH = Statement("UPDATE t SET b = 1 WHERE a IN (", "?", ")")
DELETE = Statement("DELETE FROM t WHERE a IN (", "?", ")", place=Place.LAST)


def job(work: Statement | Several, *parameters: object) -> Job:
    return work, parameters, None, False


def test_the_repeated_part_stands_once_for_each_row() -> None:
    assert INSERT.text(3) == "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?)"
    assert DELETE.text(1) == "DELETE FROM t WHERE a IN (?)"


def test_a_statement_without_a_repeated_part_is_run_row_by_row() -> None:
    rows: list[Parameters] = [(1, 2), (3, 4)]
    assert list(UPDATE.steps(rows)) == [("UPDATE t SET b = ? WHERE a = ?", rows)]


@given(st.integers(0, 3 * ROWS_A_STEP))
def test_steps_hold_every_row_once_and_in_order(count: int) -> None:
    """Whatever the number of rows, and with a bounded number of different texts."""
    rows: list[Parameters] = [(number, -number) for number in range(count)]
    steps = list(INSERT.steps(rows))
    assert list(chain.from_iterable(flat for _, (flat,) in steps)) == list(chain.from_iterable(rows))
    for sql, (flat,) in steps:
        assert sql.count("?") == len(flat)
        assert len(flat) // 2 <= EXACT_UP_TO or len(flat) // 2 == ROWS_A_STEP


def test_neighbours_with_the_same_statement_become_one_step() -> None:
    assert plan([job(TOUCH, 1), job(TOUCH, 2), job(UPDATE, 5, 2), job(TOUCH, 3)]) == [
        (TOUCH.text(2), ((1, 2),)),
        (UPDATE.head, [(5, 2)]),
        (TOUCH.text(1), ((3,),)),
    ]


def test_new_rows_come_first_and_finished_rows_go_last() -> None:
    """Appends and deletions that alternate become one step each."""
    assert plan(
        [job(INSERT, 1, 1), job(TOUCH, 1), job(DELETE, 1), job(INSERT, 2, 2), job(TOUCH, 2), job(DELETE, 2)]
    ) == [
        (INSERT.text(2), ((1, 1, 2, 2),)),
        (TOUCH.text(2), ((1, 2),)),
        (DELETE.text(2), ((1, 2),)),
    ]


def test_statements_that_belong_together_keep_their_order() -> None:
    move = Several(((DELETE, (1,)), (INSERT, (1, 9))))
    assert plan([job(TOUCH, 1), job(move), job(TOUCH, 1)]) == [
        (TOUCH.text(1), ((1,),)),
        (DELETE.text(1), ((1,),)),
        (INSERT.text(1), ((1, 9),)),
        (TOUCH.text(1), ((1,),)),
    ]
