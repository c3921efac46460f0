"""Where the jobs of a queue lie in the index of ids."""

from hypothesis import given
from hypothesis import strategies as st

from actors.queues.sqlite.record import hash_of


def test_ids_that_count_up_lie_side_by_side() -> None:
    """And those of another queue elsewhere."""
    first = hash_of("q", "job-8")
    assert [hash_of("q", f"job-{number}") - first for number in (9, 10, 1000)] == [1, 2, 992]
    assert abs(hash_of("r", "job-8") - first) > 1000


@given(st.text(), st.text())
def test_a_place_is_a_whole_number_that_sqlite_keeps(queue: str, id: str) -> None:
    assert -(2**63) <= hash_of(queue, id) < 2**63
