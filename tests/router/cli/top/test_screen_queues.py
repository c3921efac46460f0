"""Queues on the screen: a table of their own, where there are any."""

import re
import threading

import pytest

from router.cli.client import Client
from router.cli.top.feed import Feed
from router.cli.top.sample import Json
from tests.loop import Run
from tests.router.cli.top.pilot import DEADLINE_S, EVERY_S, Told, opened
from tests.router.cli.top.readings import actor, away, queue, route
from tests.router.control.sample_router import running

TOPOLOGY = """
actors:
  door: {type: door}
  inbound: {type: queue, queue: tania-messages}
routes:
  take: {from: door, to: inbound}
"""


def shop() -> Told:
    """A router with a queue in the house, which is called as its actor, and one whose store is away."""
    feed = Told(actor("inbound", type="queue"), actor("crm", 9), route("take", 9))
    feed.queues = (
        queue("inbound", 9, jobs={"waiting": 1200, "prioritized": 4, "delayed": 2, "failed": 3}, oldest_age_s=64.0),
        queue("reports", spilled=17, **away()),
    )
    return feed


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (140, 40), (60, 16)])
def test_queues_stand_below_the_routes(run: Run, columns: int, lines: int) -> None:
    async def scenario() -> None:
        async with opened(shop(), columns=columns, lines=lines) as screen:
            text = await screen.shows("reports")
        shown = text.splitlines()
        assert shown[6].startswith(" ROUTES 1 ")
        assert shown[9].startswith(" QUEUES 2 ")
        assert re.match(r" inbound +(sqlite +)?open +.*1,204 .* 3( +1m 4s)?$", shown[10])
        assert re.match(r" reports +(redis +)?away ", shown[11])
        assert len(shown) == lines
        assert max(map(len, shown)) <= columns

    run(scenario())


def test_without_queues_there_is_no_table_of_them(run: Run) -> None:
    """And the keys go on from it when the last one leaves while they are there."""

    async def scenario() -> None:
        feed = shop()
        async with opened(feed) as screen:
            await screen.shows("QUEUES 2")
            await screen.press("shift+tab")
            await screen.shows(" inbound  ")
            feed.queues = ()
            await screen.until(lambda text: "QUEUES" not in text)
            await screen.press("down", "p")
            await screen.shows(" pause crm?")

    run(scenario())


def test_keys_that_come_fast_reach_the_table_that_they_mean(run: Run) -> None:
    async def scenario() -> None:
        async with opened(shop(), lines=40) as screen:
            await screen.shows("QUEUES 2")
            for key in ("tab", "tab", "enter"):
                screen.app.simulate_key(key)
            await screen.shows(" inbound  queue in sqlite  open")

    run(scenario())


def test_the_line_below_says_why_a_queue_is_as_it_is(run: Run) -> None:
    async def scenario() -> None:
        async with opened(shop()) as screen:
            await screen.shows("QUEUES 2")
            await screen.press("tab", "tab", "down")
            await screen.shows(" reports  away: 127.0.0.1:6379 refuses")

    run(scenario())


def test_rates_of_queues_are_shown_as_counters_grow(run: Run) -> None:
    async def scenario() -> None:
        feed = Told(actor("inbound", type="queue"), route("take"))
        feed.queues = (queue("inbound"),)
        async with opened(feed, columns=100) as screen:
            await screen.shows("QUEUES 1")
            feed.queues = (queue("inbound", 5000),)
            await screen.until(
                lambda text: re.search(r"^ inbound +sqlite +open +[1-9]\S* +[1-9]\S* ", text, re.MULTILINE)
            )

    run(scenario())


def test_a_queue_is_paused_for_all_that_work_it(run: Run) -> None:
    """The queue, not the actor that is called the same; it is asked for by an actor of its own."""

    async def scenario() -> None:
        feed = shop()
        feed.answer = {"name": "inbound", "actors": ["inbound"], "paused": True}
        async with opened(feed) as screen:
            await screen.shows("QUEUES 2")
            await screen.press("tab", "tab", "p")
            await screen.shows(" pause the queue inbound, for all that work it?  y yes")
            await screen.press("y")
            await screen.shows(" inbound is paused, for all that work it")
            feed.answer = {"name": "inbound", "actors": ["inbound"], "paused": False}
            await screen.press("r", "y")
            await screen.shows(" inbound goes on")
        assert feed.steered == [("pause", "queues", "inbound"), ("resume", "queues", "inbound")]

    run(scenario())


def test_a_queue_is_shown_whole_with_its_first_jobs(run: Run) -> None:
    """Enter on a queue is not Enter on the actor of its name."""

    async def scenario() -> None:
        feed = shop()
        feed.first_jobs = {
            "jobs": [{"id": "pm-1", "state": "delayed", "due_in_s": 3.2, "age_s": 9.0, "preview": "hola"}],
            "total": 1,
        }
        async with opened(feed, lines=40) as screen:
            await screen.shows("QUEUES 2")
            await screen.press("tab", "tab", "enter")
            text = await screen.shows("pm-1 hola")
            assert text.startswith(" inbound  queue in sqlite  open")
            assert "delayed for 3.2s" in text
            await screen.press("escape")
            await screen.shows("QUEUES 2")
            await screen.press("tab", "enter")
            await screen.shows(" inbound  queue actor  ready")

    run(scenario())


class Stuck(Told):
    """Says nothing of queues as long as a test does not let it."""

    def __init__(self, *views: Json) -> None:
        super().__init__(*views)
        self.free = threading.Event()
        self.free.set()

    def read_queues(self) -> Json:
        assert self.free.wait(DEADLINE_S)
        return super().read_queues()


def test_a_store_that_takes_its_time_slows_nothing_else_down(run: Run) -> None:
    async def scenario() -> None:
        feed = Stuck(actor("crm"), route("take"))
        feed.queues = (queue("inbound"),)
        async with opened(feed) as screen:
            await screen.shows("QUEUES 1")
            feed.free.clear()
            for look in ("first", "second"):
                feed.views = (actor("crm", state="failed", why=f"the {look} look"), route("take"))
                await screen.shows(f"the {look} look")
            assert "QUEUES 1" in screen.text
            feed.queues = (queue("inbound", jobs={"waiting": 77}),)
            feed.free.set()
            await screen.shows(" 77 ")

    run(scenario())


def test_a_queue_of_a_router_is_seen_as_it_fills(run: Run) -> None:
    """With the jobs that wait in it."""

    async def scenario() -> None:
        async with running(TOPOLOGY) as api:
            feed = Feed(Client(api.engine.state_dir.path / "control.sock"), every_s=EVERY_S)
            async with opened(feed, columns=120, lines=50) as screen:
                await screen.shows("QUEUES 1")
                for id_ in ("m-1", "m-2"):
                    await api.post("/v1/actors/door/messages", {"data": "hola", "id": id_})
                await screen.until(
                    lambda text: re.search(r"^ tania-messages +sqlite +open .* 2 +0 ", text, re.MULTILINE)
                )
                await screen.press("tab", "tab", "enter")
                text = await screen.shows("FIRST JOBS  2 jobs")
                assert text.startswith(" tania-messages  queue in sqlite  open")
                await screen.press("p", "y")
                await screen.shows(" tania-messages is paused, for all that work it")
                await screen.shows("tania-messages  queue in sqlite  paused")

    run(scenario())
