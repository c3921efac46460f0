"""The screen as people use it: what it shows, and what the keys do."""

import re
import time

import pytest

from router.cli.failure import Failure
from tests.loop import Run
from tests.router.cli.top.pilot import Told, opened
from tests.router.cli.top.readings import actor, box, gone, route


def shop() -> Told:
    """A router with an actor of each kind of trouble."""
    return Told(
        actor("orders", roles=["source"], type="webhook"),
        actor("crm", 120455, mailbox=box(12, oldest_age_s=2.13)),
        actor("pdf", available=False, unavailable_why="connection refused", mailbox=box(850)),
        actor("fax", state="failed", why="ValueError: boom", mailbox=box(1000), restarts=5),
        route("to-crm", 120455),
        route("to-pdf", 9, suspended=2, targets=["pdf"], mailbox=box(1000)),
    )


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (140, 40), (60, 16)])
def test_actors_and_routes_stand_below_each_other(run: Run, columns: int, lines: int) -> None:
    """In a terminal of the usual size, in a large one and in one that is too small for all columns."""

    async def scenario() -> None:
        async with opened(shop(), columns=columns, lines=lines) as screen:
            text = await screen.shows("to-pdf")
        shown = text.splitlines()
        assert shown[0].startswith(" shop  up 3h 10m")
        assert re.search(r"in 0/s  out 0/s$", shown[0])
        assert shown[2].startswith(" ACTORS 4 ")
        assert re.match(r" crm +(http +)?ready +0  ▇▁+   12/1000", shown[4])
        assert re.match(r" fax +(http +)?failed +0  ▇+ 1000/1000", shown[6])
        assert shown[8].startswith(" ROUTES 2 ")
        assert re.match(r" to-pdf +suspended +0 +(0 +)?▇+ 1000/1000", shown[10])
        assert len(shown) == lines
        assert shown[-1].startswith(" ↵ detail  s sort  / filter")
        assert max(map(len, shown)) <= columns

    run(scenario())


def test_rates_are_shown_as_counters_grow(run: Run) -> None:
    """In the rows, and their sum on top."""

    async def scenario() -> None:
        feed = Told(actor("crm"), route("to-crm"))
        async with opened(feed) as screen:
            await screen.shows("ROUTES 1")
            feed.views = (actor("crm", 5000), route("to-crm", 6000))
            text = await screen.until(lambda text: "out 0/s" not in text)
        assert re.search(r"^ crm +ready +[1-9][\d,.k]+ ", text, re.MULTILINE)
        assert re.search(r"^ to-crm +ready +[1-9][\d,.k]+ +[1-9][\d,.k]+ ", text, re.MULTILINE)

    run(scenario())


def test_the_line_below_says_why_the_row_is_as_it_is(run: Run) -> None:
    """Nothing where all is well."""

    async def scenario() -> None:
        async with opened(shop()) as screen:
            await screen.shows("to-pdf")
            assert screen.lines[-2] == ""
            await screen.press("down", "down")
            await screen.shows(" pdf  unavailable: connection refused")
            await screen.press("j")
            await screen.shows(" fax  failed after 5 restarts: ValueError: boom")
            await screen.press("tab", "end")
            await screen.shows(" to-pdf  2 messages wait for a target that is away")

    run(scenario())


def test_rows_are_sorted_by_key_and_by_click(run: Run) -> None:
    """An arrow says by what; the keys mean the table that Tab has chosen."""

    async def scenario() -> None:
        async with opened(shop()) as screen:
            await screen.shows("to-pdf")
            await screen.press("s")
            await screen.shows("ACTORS 4▴")
            assert [line.split()[0] for line in screen.lines[3:7]] == ["crm", "fax", "orders", "pdf"]
            await screen.press("S")
            await screen.shows("ACTORS 4▾")
            assert [line.split()[0] for line in screen.lines[3:7]] == ["pdf", "orders", "fax", "crm"]
            await screen.click(screen.lines[2].index("STATE"), 2)
            await screen.shows("STATE▴")
            assert screen.lines[3].split()[0] == "fax"
            await screen.press("tab", "s")
            await screen.shows("ROUTES 2▴")

    run(scenario())


@pytest.mark.slow
def test_the_cursor_stays_on_its_row_while_rows_move(run: Run) -> None:
    """What is meant must not change below one's finger."""

    async def scenario() -> None:
        feed = Told(actor("a", 1), actor("b", 2))
        async with opened(feed, columns=120) as screen:
            await screen.shows("ACTORS 2")
            await screen.click(screen.lines[2].rindex("DONE"), 2)
            await screen.press("end")
            feed.views = (actor("a", 900), actor("b", 2))
            await screen.until(lambda _: screen.lines[3].startswith(" a"))
            await screen.press("p")
            await screen.shows(" pause a?")

    run(scenario())


def test_the_filter_narrows_both_tables(run: Run) -> None:
    """While it is typed; Enter keeps it, Esc ends it."""

    async def scenario() -> None:
        async with opened(shop()) as screen:
            await screen.shows("to-pdf")
            await screen.press("slash", *"to-p")
            await screen.shows("ACTORS 0/4")
            assert "nothing matches" in screen.text
            assert "ROUTES 1/2" in screen.text
            await screen.press("enter", "p")
            await screen.shows(" pause to-pdf?")
            await screen.press("n", "escape")
            await screen.shows("ACTORS 4 ")

    run(scenario())


def test_a_pause_is_asked_for_done_and_told(run: Run) -> None:
    """With what it holds back, as the router answered."""

    async def scenario() -> None:
        feed = shop()
        feed.answer = {"held_back": {"sources": [], "routes": ["to-crm", "to-log"], "fall_back": ["to-pdf"]}}
        async with opened(feed) as screen:
            await screen.shows("to-pdf")
            await screen.press("down", "p")
            await screen.shows(" pause crm?  y yes")
            await screen.press("y")
            await screen.shows(" crm is paused: held back: to-crm, to-log; on their fallback: to-pdf")
            feed.answer = {"resumed": True}
            await screen.press("r", "y")
            await screen.shows(" crm goes on")
        assert feed.steered == [("pause", "actors", "crm"), ("resume", "actors", "crm")]

    run(scenario())


@pytest.mark.parametrize("key", ["n", "q", "escape", "p", "enter"])
def test_any_other_key_is_no(run: Run, key: str) -> None:
    """Also one that would do something else."""

    async def scenario() -> None:
        feed = shop()
        async with opened(feed) as screen:
            await screen.shows("to-pdf")
            await screen.press("p")
            await screen.shows(" pause orders?")
            await screen.press(key)
            await screen.until(lambda text: "pause orders?" not in text)
        assert feed.steered == []

    run(scenario())


def test_a_pause_that_was_refused_says_why(run: Run) -> None:
    """For one, a viewer may not."""

    async def scenario() -> None:
        feed = shop()
        async with opened(feed) as screen:
            await screen.shows("to-pdf")
            feed.every_s = 60.0
            await screen.press("p")
            await screen.shows(" pause orders?")
            feed.failure = Failure("this needs the role operator", hint="ask somebody who has it")
            await screen.press("y")
            await screen.shows(" this needs the role operator. ask somebody who has it")

    run(scenario())


def test_a_row_is_shown_whole(run: Run) -> None:
    """By Enter or a double click; Esc comes back, and p and r mean it."""

    async def scenario() -> None:
        feed = shop()
        message = {"id": "m-1", "age_s": 2.0, "attempt": 1, "size": 12, "preview": "hola", "state": "queued"}
        feed.mailbox = {"waiting": [message], "counts": {"waiting": 1}}
        async with opened(feed, lines=40) as screen:
            await screen.shows("to-pdf")
            await screen.press("tab", "enter")
            text = await screen.shows("m-1 hola")
            assert text.startswith(" to-crm  route  ready")
            assert "accepted          120,455" in text
            assert "MESSAGES  1 waiting" in text
            await screen.press("p")
            await screen.shows(" pause to-crm?")
            await screen.press("n")
            await screen.press("escape")
            await screen.shows("ROUTES 2")
            await screen.click(2, 4, times=2)
            await screen.shows(" crm  http actor  ready")

    run(scenario())


def test_the_detail_stays_when_its_row_goes(run: Run) -> None:
    """A swap may take an actor away, and bring it back."""

    async def scenario() -> None:
        feed = shop()
        views = feed.views
        async with opened(feed) as screen:
            await screen.shows("to-pdf")
            await screen.press("down", "enter")
            await screen.shows(" crm  http actor")
            feed.views = views[:1]
            await screen.shows("crm  is not in the topology any more")
            feed.views = views
            await screen.shows(" crm  http actor")

    run(scenario())


def test_a_router_that_goes_away_is_told_and_found_again(run: Run) -> None:
    """What it said last stays there, and it is said how old that is."""

    async def scenario() -> None:
        feed = shop()
        async with opened(feed) as screen:
            await screen.shows("to-pdf")
            feed.failure = gone()
            text = await screen.shows("shop  silent for")
            assert "no router is running: there is no .router/control.sock" in text
            assert "to-pdf" in text
            feed.failure = None
            await screen.shows("shop  up 3h 10m")

    run(scenario())


def test_help_tells_the_keys_and_keys_that_come_fast_do_no_harm(run: Run) -> None:
    """A second key may reach a screen that the first one has closed."""

    async def scenario() -> None:
        async with opened(shop()) as screen:
            await screen.shows("to-pdf")
            await screen.press("question_mark")
            await screen.shows("only what has these words")
            screen.app.simulate_key("x")
            screen.app.simulate_key("x")
            await screen.until(lambda text: "only what has these words" not in text)
            await screen.press("question_mark")
            await screen.shows("only what has these words")

    run(scenario())


def test_when_both_do_not_fit_the_table_with_the_keys_has_the_room(run: Run) -> None:
    """And some rows of the other one stay in sight."""

    async def scenario() -> None:
        feed = Told(*(actor(f"a{n}") for n in range(50)), *(route(f"r{n}") for n in range(50)))
        async with opened(feed) as screen:
            await screen.shows("ROUTES 50")
            assert sum(line.startswith(" a") for line in screen.lines) > 10
            assert sum(line.startswith(" r") for line in screen.lines) == 4
            await screen.press("tab", "end")
            await screen.shows(" r49")
            assert sum(line.startswith(" a") for line in screen.lines) == 4
            await screen.resize(100, 110)
            await screen.shows(" a49")
            assert " r0 " in screen.text
            assert " r49" in screen.text

    run(scenario())


@pytest.mark.slow
def test_thousands_of_actors_leave_it_quick(run: Run) -> None:
    """Only the rows in sight are drawn; a key is answered between two readings."""

    async def scenario() -> None:
        feed = Told(*(actor(f"actor-{n}", n) for n in range(4000)), *(route(f"route-{n}", n) for n in range(2000)))
        feed.every_s = 0.5
        async with opened(feed, columns=140, lines=40) as screen:
            await screen.shows("ACTORS 4000")
            await screen.press("s", "s")
            began = time.monotonic()
            await screen.press("end")
            await screen.press("home")
            took_s = time.monotonic() - began
            assert took_s < 2.0
            await screen.press("slash", *"actor-3999", "enter")
            await screen.shows("ACTORS 1/4000")

    run(scenario())


def test_without_colour_it_says_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """States are words, bars have two shapes, and the cursor is turned round."""
    monkeypatch.setenv("NO_COLOR", "1")

    async def scenario() -> None:
        async with opened(shop()) as screen:
            text = await screen.shows("to-pdf")
            assert screen.app.no_color
            assert "unavailable" in text

    run(scenario())
