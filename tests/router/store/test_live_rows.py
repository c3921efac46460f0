"""Sizes of the rows on disk, in little memory."""

from hypothesis import given
from hypothesis import strategies as st

from router.store.live_rows import LiveRows

ROWS = st.integers(0, 1_000) | st.integers(1 << 44, (1 << 44) + 300)


@given(st.lists(st.tuples(ROWS, st.integers(0, 2**32 - 1))))
def test_it_counts_like_a_dictionary(steps: list[tuple[int, int]]) -> None:
    """A size of 0 stands for a removal."""
    live, model = LiveRows(), dict[int, int]()
    for row, size in steps:
        if size:
            live.put(row, size)
            model[row] = size
        else:
            assert live.remove(row) == model.pop(row, 0)
        assert live.size(row) == model.get(row, 0)
        assert (row in live) == (row in model)
        assert live.count == len(model)
        assert live.size_bytes == sum(model.values())
