"""Runs a router in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import uvloop

from actors.core.errors import RouterError
from router.change.changes import TopologyRefusedError
from router.change.watch import Watch
from router.cli import problems
from router.cli.banner import Banner, NotReady
from router.cli.command import discard_output
from router.cli.example import examples
from router.cli.failure import TOPOLOGY_PROBLEMS, Failure
from router.cli.figures import plural, span
from router.cli.open_files import allow_files
from router.cli.queue_stores import queue_stores
from router.cli.subscription import subscriptions
from router.control.server import ControlServer
from router.control.views import readiness_view
from router.engine import Engine
from router.store.state_dir import StateDirHeldError
from router.telemetry.event_log import EventLog
from router.telemetry.logs import LOGGER, install
from router.telemetry.shown import Redaction
from router.topology.model import Topology

GC_THRESHOLD: Final = 50_000
"""Messages die young, by their reference counts. At Python's 700 the collector starts with every few hundred of
them in flight, and finds nothing."""

END_S: Final = 10.0
"""How long the watch may take to end what it is doing."""

_TOLD_TOGETHER: Final = frozenset(
    ["connection open", *(f"{kind} {what}" for kind in ("actor", "route") for what in ("ready", "stopped"))]
)


def serve(
    topology: Topology,
    *,
    state_dir: Path | None = None,
    only: Sequence[str] = (),
    node: str | None = None,
    watch: bool = False,
    file_wins: bool = False,
    log_format: Literal["console", "json"] | None = None,
    log_level: str | None = None,
    as_json: bool = False,
) -> None:
    """Run until SIGTERM, SIGINT or SIGHUP has it stopped; raises `Failure` where the router cannot start.

    `only`: run just these actors and routes, and what they need. `node`: keep the state in a folder of that name.
    `watch`: apply the topology's file whenever it changes. `file_wins`: run it, whatever ran last.
    """
    settings = topology.settings
    level, format = log_level or settings.log.level, log_format or settings.log.format
    allow_files()
    uninstall = install(format=format, level=level, redaction=Redaction(settings.redact))
    calm = format == "console" and level == "info"
    make = partial(Engine, topology, state_dir=state_dir, only=only, node=node)
    serving = _Serving(topology, make, watch=watch, file_wins=file_wins, calm=calm, as_json=as_json)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serving.run())
    except TopologyRefusedError as error:
        if not as_json:
            problems.show(error.problems)
        shown = {"detail": error.text, "problems": [problem.as_dict() for problem in error.problems]}
        raise Failure(error.text, code=TOPOLOGY_PROBLEMS, problem=shown) from None
    except StateDirHeldError as error:
        raise Failure(str(error), hint="a process beside it takes a --node of its own") from None
    except RouterError as error:
        raise Failure(str(error)) from None
    finally:
        uninstall()


def relieve_collector() -> None:
    """What is there now lives as long as the router: the collector need not look at it again, nor at each burst."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 20)


class _Serving:
    """One run of one router."""

    def __init__(
        self,
        topology: Topology,
        make: Callable[[], Engine],
        *,
        watch: bool,
        file_wins: bool,
        calm: bool,
        as_json: bool,
    ) -> None:
        self._topology = topology
        self._make = make
        self._watch = watch
        self._file_wins = file_wins
        self._for_people = calm
        self._as_json = as_json
        self._told = asyncio.Event()

    async def run(self) -> None:
        engine = self._make()
        control = ControlServer(engine)
        log = EventLog(engine.events, engine.clock, logging.getLogger(LOGGER))
        self._listen_to_signals()
        try:
            if await self._unless_told(self._start(engine, control)):
                self._say(await self._banner(engine, control))
                await self._until_told(engine)
                await self._stop(engine, control)
            else:
                self._say_stopped("\nstopped before it was ready", 0)
        finally:
            log.close()

    # Start

    async def _start(self, engine: Engine, control: ControlServer) -> None:
        with self._calm():
            await engine.start(file_wins=self._file_wins)
            try:
                await control.start()
            except BaseException:
                await engine.stop()
                raise
        relieve_collector()

    async def _unless_told(self, starting: Coroutine[Any, Any, None]) -> bool:
        """Whether it came to its end before a signal came; otherwise it is cancelled."""
        task = asyncio.create_task(starting)
        told = asyncio.create_task(self._told.wait())
        await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if task.cancelled():
            return False
        await task
        return True

    async def _until_told(self, engine: Engine) -> None:
        if not self._watch:
            await self._told.wait()
            return
        watch = Watch(self._topology, engine.changes, clock=engine.clock, events=engine.events)
        watching = asyncio.create_task(watch.run())
        try:
            await self._told.wait()
        finally:
            # A change that it carries out is ended by the engine, as one that an operator asked for.
            watching.cancel()
            await asyncio.wait([watching], timeout=END_S)

    async def _banner(self, engine: Engine, control: ControlServer) -> Banner:
        listening = [*engine.listening(), *control.listening()]
        unready = readiness_view(engine)["waiting"]
        waiting = [NotReady(one["name"], one["kind"], one["state"], one["why"]) for one in unready]
        waiting += _away(engine, known={one.name for one in waiting})
        late = {one.name for one in waiting}
        topology = engine.topology
        http = next((address for what, address in listening if what == "http"), None)
        return Banner(
            name=topology.name,
            pid=os.getpid(),
            node=engine.node or "",
            remark=engine.remark,
            watching=str(self._topology.path) if self._watch else "",
            listening=listening,
            actors=[name for name, actor in topology.actors.items() if actor.enabled and name not in late],
            routes=[name for name in topology.routes if name not in late],
            queues=await queue_stores(engine),
            waiting=waiting,
            disabled=[name for name, actor in topology.actors.items() if not actor.enabled],
            examples=[
                *(examples(topology, http) if http is not None else ()),
                *subscriptions(topology, engine.state_dir.path, late=late),
            ],
        )

    # Stop

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signum is signal.SIGHUP and signal.getsignal(signum) is signal.SIG_IGN:
                continue  # nohup
            loop.add_signal_handler(signum, self._on_signal, signum)

    def _on_signal(self, signum: signal.Signals) -> None:
        if not self._told.is_set():
            self._told.set()
            return
        # Whatever has not settled was never acknowledged, or is in the journal: nothing has to be tidied up.
        self._say_stopped("stopped at once; what had not settled was never acknowledged, or is in the journal")
        os._exit(128 + signum)

    async def _stop(self, engine: Engine, control: ControlServer) -> None:
        limit_s = float(engine.assembly.settings.drain_timeout)
        if not self._as_json:
            _print(f"\ndraining, for {span(limit_s)} at most; a second Ctrl-C stops at once")
        with self._calm():
            left = await engine.stop()
        await control.stop()
        if left:
            verb = "has" if left == 1 else "have"
            told = f"stopped; {plural(left, 'message')} {verb} not settled:"
            has_queues = any(actor.redelivers for actor in engine.topology.actors.values())
            again = " what came from a queue is there again," if has_queues else ""
            told += f" what is on durable routes is in the journal,{again} the rest was never acknowledged"
        else:
            told = "stopped; nothing is left in flight"
        self._say_stopped(told, left)

    # Words

    @contextmanager
    def _calm(self) -> Iterator[None]:
        """Leave out of a log for people that each actor is ready, or has stopped, and that each connection is open:
        the banner and the last line tell it of all together. A filter of this very logger: messages that a `log`
        actor writes pass."""

        def tells_more(record: logging.LogRecord) -> bool:
            return record.levelno != logging.INFO or record.getMessage() not in _TOLD_TOGETHER

        logger = logging.getLogger(LOGGER)
        if self._for_people:
            logger.addFilter(tells_more)
        try:
            yield
        finally:
            logger.removeFilter(tells_more)

    def _say(self, banner: Banner) -> None:
        if self._as_json:
            _print(json.dumps(banner.as_dict()))
        else:
            _print("\n".join(banner.lines()))

    def _say_stopped(self, text: str, left: int | None = None) -> None:
        _print(json.dumps({"status": "stopped", "unsettled": left}) if self._as_json else text)


def _away(engine: Engine, *, known: Collection[str]) -> Iterator[NotReady]:
    """Actors that run, and whose remote end is not there: a broker, say."""
    for name in engine.topology.actors:
        child = engine.supervisor.children[name]
        if child.closed is not None and child.state == "ready" and not child.is_paused and name not in known:
            yield NotReady(name, "actor", "unavailable", child.closed.why)


def _print(text: str) -> None:
    """To standard output; where nobody reads that any more, the router goes on all the same."""
    try:
        print(text, flush=True)
    except OSError:
        discard_output()
