"""Which rows are shown in which order, and that the cursor stays on its row."""

from hypothesis import given
from hypothesis import strategies as st

from router.cli.top.columns import ACTORS, Column
from router.cli.top.entry import Entry
from router.cli.top.listing import Listing
from tests.router.cli.top.readings import actor, entries


def column(title: str) -> Column:
    return next(column for column in ACTORS if column.title == title)


def names(listing: Listing) -> list[str]:
    return [entry.name for entry in listing.rows]


def listing(**done: int) -> Listing:
    """A listing of actors that have done so much."""
    made = Listing()
    made.show(actors(**done))
    return made


def actors(**done: int) -> list[Entry]:
    return entries(*(actor(name, number) for name, number in done.items()))


def test_rows_stand_as_in_the_topology_until_they_are_sorted() -> None:
    """Figures fall, names rise, and turning round goes both ways."""
    rows = listing(b=1, c=30, a=2)
    assert names(rows) == ["b", "c", "a"]
    rows.sort(column("DONE"))
    assert names(rows) == ["c", "a", "b"]
    rows.turn()
    assert names(rows) == ["b", "a", "c"]
    rows.sort(column("ACTORS"))
    assert names(rows) == ["a", "b", "c"]
    rows.sort(None)
    assert names(rows) == ["b", "c", "a"]


def test_what_has_no_such_figure_stands_last_either_way() -> None:
    """A source delivers nothing."""
    rows = Listing()
    rows.show(entries(actor("in", roles=["source"]), actor("x", 1), actor("y", 2)))
    rows.sort(column("DONE"))
    assert names(rows) == ["y", "x", "in"]
    rows.turn()
    assert names(rows) == ["x", "y", "in"]


def test_by_state_trouble_stands_first() -> None:
    """What has failed, then what may come back by itself, then what is well."""
    rows = Listing()
    shown = [actor("ok"), actor("off", state="disabled"), actor("away", available=False), actor("bad", state="failed")]
    rows.show(entries(*shown))
    rows.sort(column("STATE"))
    assert names(rows) == ["bad", "away", "ok", "off"]


def test_the_filter_wants_each_word_in_name_type_or_state() -> None:
    """Whatever their case."""
    rows = Listing()
    rows.show(entries(actor("orders", type="webhook"), actor("crm"), actor("crm-old", state="failed")))
    rows.filter("CRM fail")
    assert names(rows) == ["crm-old"]
    rows.filter("webhook")
    assert names(rows) == ["orders"]
    rows.filter("")
    assert len(rows.rows) == 3


def test_the_cursor_stays_on_its_row_when_rows_move() -> None:
    """And where its row goes, it stays where that was."""
    rows = listing(a=3, b=2, c=1)
    rows.sort(column("DONE"))
    rows.move(1)
    rows.show(actors(a=3, b=9, c=1))
    assert (rows.cursor, rows.place) == ("b", 0)
    rows.show(actors(a=3, c=1))
    assert (rows.cursor, rows.place) == ("a", 0)
    rows.show([])
    assert (rows.cursor, rows.current) == (None, None)


@given(st.data())
def test_the_cursor_is_always_in_sight(data: st.DataObject) -> None:
    """Whatever keys, wheel, filter and new rows do; and no room is left empty while there are rows above."""
    rows = Listing()
    for _ in range(data.draw(st.integers(1, 12))):
        height = data.draw(st.integers(1, 8))
        match data.draw(st.sampled_from(["show", "move", "go", "scroll", "filter", "sort"])):
            case "show":
                numbers = data.draw(st.lists(st.integers(0, 40), unique=True))
                rows.show(entries(*(actor(f"a{number}", number % 7) for number in numbers)))
            case "move":
                rows.move(data.draw(st.integers(-50, 50)))
            case "go":
                rows.go(data.draw(st.integers(-5, 50)))
            case "scroll":
                rows.scroll(data.draw(st.integers(-9, 9)), height)
            case "filter":
                rows.filter(data.draw(st.sampled_from(["", "1", "a2"])))
            case "sort":
                rows.sort(data.draw(st.sampled_from([None, *ACTORS])))
        rows.reveal(height)
        assert rows.first >= 0
        assert rows.first + height <= max(height, len(rows.rows))
        if rows.rows:
            assert rows.first <= rows.place < rows.first + height
            assert rows.current is not None
            assert rows.cursor == rows.current.name
