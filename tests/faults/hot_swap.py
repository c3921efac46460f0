"""Changes of the running topology under load: good ones, refused ones, and ones in the middle of which it is killed."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

import aiohttp

from tests.faults.account import Account, Refusal, Verdict, quantile
from tests.faults.draining import drain
from tests.faults.eras import Eras
from tests.faults.failpoints import SWAP_PLACES
from tests.faults.killing import RECOVERY_LIMIT_S
from tests.faults.lateness import Lateness
from tests.faults.mqtt_client import publishing, recording_subscriber
from tests.faults.producer import posting
from tests.faults.rewrites import NEVER_READY, ROUTES, Document, Rewrite, Rewriter, first, version_of, written
from tests.faults.router_process import RouterProcess
from tests.faults.sink import recording_sink
from tests.faults.standing import mixtures, running_revision
from tests.faults.steady import SteadyProducer
from tests.faults.waiting import until
from tests.faults.witness import Publications
from tests.mosquitto import Mosquitto
from tests.servers import free_port
from tests.tcp_proxy import proxy

RATE: Final = 500.0
"""Messages a second of each of the two producers."""
KEYS: Final = 100
"""Of each of them."""
RATE_LIMIT: Final = 0.9
"""The part of it that must have been acknowledged, leaving out the time for which the router was down."""
KILLED_EVERY: Final = 8
"""In one of so many rounds the router is killed in the middle of the change."""
TWO_AT_ONCE: Final = 0.15
GAP_LIMIT_S: Final = 0.05
"""The 99th percentile."""
RETRY_S: Final = 0.25
"""How long the HTTP client waits before it sends again what was refused."""
WARM_UP_S: Final = 1.0
CALM: Final = 50
"""So many messages under way, of all routes, are no backlog of a kill any more."""


async def hot_swap(
    folder: Path,
    *,
    rounds: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
    gap_limit_s: float = GAP_LIMIT_S,
    recovery_limit_s: float = RECOVERY_LIMIT_S,
    rate: float = RATE,
) -> tuple[Verdict, list[str]]:
    """Returns the verdict, and what else went wrong (nothing, where all holds)."""
    account, subscriber = Account(), Account()
    wrong: list[str] = []
    chance = random.Random(seed)
    port = free_port()
    (folder / "never_ready.py").write_text(NEVER_READY)
    publications = Publications(account)
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder, "max_inflight_messages 1000"))
        front = await stack.enter_async_context(proxy(broker.port, tap=publications))
        sink = await stack.enter_async_context(recording_sink(account))
        await stack.enter_async_context(recording_subscriber(subscriber, broker.port, "out/#", "sink"))
        document = first(port=port, sink=sink, broker=broker.url, front=f"mqtt://127.0.0.1:{front.port}")
        topology, armed = folder / "topology.yaml", folder / "armed"
        topology.write_text(written(document))
        router = RouterProcess(topology, folder / "state", failpoint_when=armed)
        run = _Run(router, Rewriter(document, chance), account, armed, chance, wrong, recovery_limit_s)
        await run.start()
        stack.push_async_callback(router.kill)
        stack.enter_context(_uncollected())
        async with AsyncExitStack() as ways:
            post = await ways.enter_async_context(posting(f"http://127.0.0.1:{port}/in", account, pause_s=RETRY_S))
            publish = await ways.enter_async_context(publishing(broker.port, "in/x", "producer"))
            producers = [
                await ways.enter_async_context(SteadyProducer(way, account, name=name, rate=rate, keys=KEYS))
                for way, name in ((post, "web/"), (publish, "broker/"))
            ]
            await asyncio.sleep(WARM_UP_S)
            began, before = time.monotonic(), [producer.count for producer in producers]
            for number in range(1, rounds + 1):
                await asyncio.sleep(chance.uniform(0.05, 0.4))
                say(f"round {number}/{rounds}: {await run.change(number)}")
            seconds = time.monotonic() - began
            counts = [producer.count - count for producer, count in zip(producers, before, strict=True)]
        await drain(router, account, wrong, routes=ROUTES)
        if account.dead:
            wrong.append(f"{len(account.dead)} dead letters, though every target was there")
        try:
            await until(lambda: publications.acknowledged <= {one.id for one in subscriber.received}, "subscriber")
        except AssertionError:
            missing = publications.acknowledged - {one.id for one in subscriber.received}
            wrong.append(f"the subscriber misses {len(missing)} messages, as {sorted(missing)[:5]}")
        if (code := await router.stop()) != 0:
            wrong.append(f"the last stop ended with {code}: {router.output()}")
    # The broker acknowledges what is published to it while the router is down, too.
    rates = [count / each_s for count, each_s in zip(counts, (seconds - run.down_s, seconds), strict=True)]
    if min(rates) < RATE_LIMIT * rate:
        wrong.append(f"not enough load: {rates[0]:.0f} messages/s by HTTP, {rates[1]:.0f} by MQTT")
    say(f"{sum(rates):,.0f} messages/s for {seconds:.0f} s; the router was down for {run.down_s:.1f} s")
    for line in run.judge(gap_limit_s):
        say(line)
    return account.verdict(), wrong


@contextmanager
def _uncollected() -> Iterator[None]:
    """What this process keeps of each message is looked through by no collector, whose pauses would be measured."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class _Run:
    """One router under load, that is changed again and again."""

    def __init__(
        self,
        router: RouterProcess,
        rewriter: Rewriter,
        account: Account,
        armed: Path,
        chance: random.Random,
        wrong: list[str],
        recovery_limit_s: float,
    ) -> None:
        self._recovery_limit_s = recovery_limit_s
        self.down_s = 0.0
        self._router = router
        self._rewriter = rewriter
        self._account = account
        self._armed = armed
        self._chance = chance
        self._wrong = wrong
        self._place = ""
        self._eras = Eras()
        self._changes: list[tuple[float, float]] = []
        """When each was asked for and answered."""
        self._down: list[tuple[float, float]] = []
        self._outcomes: Counter[str] = Counter()

    async def start(self) -> None:
        """The first start."""
        self._eras.add(version_of(self._rewriter.running), time.monotonic(), time.monotonic())
        await self._start()
        await self._must_run(self._rewriter.running)

    async def change(self, number: int) -> str:
        """Ask for one change, and look at what came of it; returns what to say of it."""
        what = f"round {number}"
        try:
            if number % KILLED_EVERY == 0:
                return await self._change_and_kill(what)
            return await self._change(what, self._rewriter.next())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AssertionError(f"{what}: {error!r}\n{self._router.output()}") from error

    async def _change(self, what: str, rewrite: Rewrite) -> str:
        asked = time.monotonic()
        asking = self._router.post(rewrite.path, dict(rewrite.body))
        if self._chance.random() < TWO_AT_ONCE:
            (status, answer), second = await asyncio.gather(asking, self._ask_besides())
            if second == 409:
                self._outcomes["refused, since another one was under way"] += 1
        else:
            status, answer = await asking
        answered = time.monotonic()
        self._changes.append((asked, answered))
        took = f"{rewrite.name}, {(answered - asked) * 1000:.0f} ms"
        if rewrite.after is None:
            if status != rewrite.refused:
                self._wrong.append(f"{what}: {rewrite.name}: {status}, and not {rewrite.refused}: {answer}")
            self._outcomes["refused, and what ran went on"] += 1
            await self._must_run(self._rewriter.running)
            return f"{took}: refused ({status})"
        if status != 200:
            self._wrong.append(f"{what}: {rewrite.name}: {status}: {answer}")
            return f"{took}: {status}"
        if answer["revision"] is None:
            self._outcomes["nothing to change"] += 1
            return f"{took}: nothing to change"
        report = answer["report"]
        if report["difference"] or report["gaps"]:
            self._wrong.append(f"{what}: {rewrite.name}: {report}")
        self._outcomes["carried out"] += 1
        self._now_runs(rewrite.after, answer["revision"], asked, answered)
        await self._must_run(rewrite.after)
        return f"{took}: revision {answer['revision']}"

    async def _ask_besides(self) -> int:
        """A second change at the same time, which leads nowhere else."""
        await asyncio.sleep(0.01)
        status, answer = await self._router.post("/v1/rollback", {"to": 1_000_000})
        if status != 409:
            self._wrong.append(f"a rollback to a revision that never was: {status}: {answer}")
        return status if "holder" in answer else 0

    def _now_runs(self, document: Document, revision: int, asked: float, answered: float) -> None:
        self._rewriter.running = document
        self._rewriter.revisions[revision] = document
        self._eras.add(version_of(document), asked, answered)

    async def _change_and_kill(self, what: str) -> str:
        before, rewrite = self._rewriter.running, self._rewriter.thorough()
        assert rewrite.after is not None, "it is possible"
        asked = time.monotonic()
        asking = asyncio.create_task(self._router.post(rewrite.path, dict(rewrite.body)))
        if place := self._place if self._chance.random() < 0.7 else "":
            self._armed.touch()
            if not await self._router.ended(10):
                self._wrong.append(f"{what}: the router never came by {place}")
        else:
            await asyncio.sleep(self._chance.uniform(0, 0.15))
        killed = time.monotonic()
        await self._router.kill()
        self._account.killed()
        outcome = (await asyncio.gather(asking, return_exceptions=True))[0]
        self._armed.unlink(missing_ok=True)
        if (integrity := self._router.integrity()) != "ok":
            self._wrong.append(f"{what}: integrity_check says {integrity}")
        recovery_s = await self._start()
        ready = time.monotonic()
        self._down.append((killed - 0.05, ready))
        self.down_s += ready - killed
        self._account.recoveries_s.append(recovery_s)
        if recovery_s > self._recovery_limit_s:
            self._wrong.append(f"{what}: back only after {recovery_s:.1f} s")
        number, document = await running_revision(self._router)
        if document == rewrite.after:
            self._now_runs(document, number, asked, ready)
        elif document == before and isinstance(outcome, BaseException):
            # It may have run the other one between the switch and the kill.
            self._eras.add(version_of(rewrite.after), asked)
            self._eras.add(version_of(before), killed, ready)
        else:
            self._wrong.append(f"{what}: after the kill revision {number} runs, and the change ended with {outcome}")
        self._outcomes["killed in the middle"] += 1
        await self._must_run(document)
        await self._calm()
        which = "the new one" if document == rewrite.after else "the old one"
        return f"killed at {place or 'a random moment'}; ready after {recovery_s:.2f} s, {which} runs"

    async def _start(self) -> float:
        self._place = self._chance.choice(list(SWAP_PLACES))
        self._router.failpoint = f"{self._place}:1"
        return await self._router.start()

    async def _calm(self) -> None:
        """Wait until what came while it was down is done."""
        async with asyncio.timeout(30):
            while True:
                view = await self._router.get("/v1/actors")
                ledgers = [route["ledger"] for route in view["routes"]]
                if sum(ledger["queued"] + ledger["in_flight"] for ledger in ledgers) < CALM:
                    return
                await asyncio.sleep(0.1)

    async def _must_run(self, document: Document) -> None:
        self._wrong += await mixtures(self._router, document)

    # Behind it all

    def judge(self, gap_limit_s: float) -> Iterator[str]:
        """Look through what arrived: by which topology, how late, and what was refused at the door; says figures."""
        self._wrong += [f"a mixture: {text}" for text in list(self._eras.mixed(self._account))[:5]]
        refused = [refusal for refusal in self._account.refusals if not self._was_down(refusal)]
        if refused:
            reasons = Counter(refusal.why for refusal in refused)
            self._wrong.append(f"{len(refused)} requests were refused while the router was not killed: {dict(reasons)}")
        late = Lateness(self._account, changes=self._changes, down=self._down)
        each = late.during_changes()
        delays_s = self._account.delays_s = [delay_s for delays_s in each for delay_s in delays_s]
        if (p99_s := quantile(delays_s, 0.99)) > gap_limit_s:
            self._wrong.append(f"the gap in delivery is {p99_s * 1000:.0f} ms at the 99th percentile")
        yield "; ".join(f"{number} {outcome}" for outcome, number in self._outcomes.most_common())
        yield f"a change took {_told([answered - asked for asked, answered in self._changes])}"
        yield f"from acceptance to delivery, {len(delays_s):,} messages during changes: {_told(delays_s)}"
        yield f"the latest message of each change: {_told([max(delays_s) for delays_s in each if delays_s])}"
        yield f"from acceptance to delivery while nothing was changed: {_told(late.otherwise())}"

    def _was_down(self, refusal: Refusal) -> bool:
        return any(began <= refusal.at <= ended for began, ended in self._down)


def _told(seconds: Sequence[float]) -> str:
    figures = {"p50": quantile(seconds, 0.5), "p99": quantile(seconds, 0.99), "max": max(seconds, default=0.0)}
    return ", ".join(f"{name} {each * 1000:.1f} ms" for name, each in figures.items())
