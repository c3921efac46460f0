"""A router, killed at random moments of a change and started again: what it had accepted is delivered or buried."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.errors import BackPressureError, ControlError
from actors.core.message import Message
from router.change.preparation import NotReadyError
from tests.loop import Run
from tests.router.change.documents import FEEDS, PITS, documents, edits
from tests.router.change.virtual import Document, World
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse

ANSWERS: st.SearchStrategy[list[Answer]] = st.lists(
    st.sampled_from([OK, OK, Refuse(), Refuse(retryable=False), Hang(), Crash()]), max_size=8
)
KEYS = st.lists(st.sampled_from(["x", "y", ""]), min_size=1, max_size=6)

LONG = 140
"""Turns of the loop in which a change is carried out, mostly; a longer life goes on for some seconds."""

LOSING = ("filter", "dedup", "split", "trip")
"""Steps by which a message may end that no target and no dead letter has."""


def durable(document: Document) -> Document:
    """The same, with all that it accepts in the journal, and nothing that lets a message end otherwise."""
    for route in document["routes"].values():
        route["durable"] = True
        route.pop("when", None)
        route.pop("dead_letter", None)
        route["steps"] = [step for step in route.get("steps", ()) if next(iter(step)) not in LOSING]
    for actor in document["actors"].values():
        actor.pop("mailbox", None)
    return document


@dataclass(frozen=True, slots=True)
class Life:
    """One process: what it is sent, how its targets answer, what it is changed to, and when it is killed."""

    before: list[str]
    """Keys of what it is sent before the change begins, and then of what comes while it is carried out."""
    meanwhile: list[str]
    answers: list[Answer]
    document: Document
    turns: int


@st.composite
def histories(draw: st.DrawFn) -> tuple[Document, list[Life]]:
    """What a router begins with, and its lives."""
    first = document = durable(draw(documents()))
    lives = []
    for _ in range(draw(st.integers(1, 3))):
        document = durable(draw(edits(document, sound=draw(st.booleans()))))
        turns = draw(st.integers(0, LONG + 10))
        lives.append(Life(draw(KEYS), draw(KEYS), draw(ANSWERS), document, turns))
    return first, lives


@pytest.mark.slow
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(lives=histories())
def test_what_was_accepted_survives_a_kill_in_the_middle_of_a_change(
    run: Run, lives: tuple[Document, list[Life]]
) -> None:
    """A run ends so many turns of the loop after its change began: before it is recorded, before or behind the
    switch, before or behind its confirmation, or while what is no longer used ends. The next run goes on with the
    last confirmed revision, and in the end each message has reached a target or the dead letters, on each route
    that had accepted it.
    """
    first, runs = lives
    accepted: set[tuple[str, str]] = set()
    reached: set[tuple[str, str]] = set()
    sent = 0

    async def one(folder: Path, life: Life) -> Path:
        """One life, and a copy of its folder as a kill leaves it."""
        nonlocal sent
        world = World(folder, first)
        world._sent = sent
        await world.start()
        for name in PITS:
            world.scripts[name].answers.extend(life.answers)
        offer(world, life.before)
        await world.turns(life.turns % 20)
        topology = world.topology(life.document)
        assert topology is not None, world.problems
        changing = asyncio.create_task(world.apply(topology))
        await world.turns(life.turns // 2)
        offer(world, life.meanwhile)
        await world.turns(life.turns - life.turns // 2)
        if life.turns > LONG:
            await world.advance(3.0)
        take_down(world)
        copy = Path(tempfile.mkdtemp(dir=folder.parent))
        shutil.copytree(folder / "state", copy / "state", ignore=shutil.ignore_patterns("*.sock", "*lock*"))
        sent = world._sent
        await end(world, changing)
        return copy

    def offer(world: World, keys: list[str]) -> None:
        for number, key in enumerate(keys):
            there = [name for name in FEEDS if name in world.feeds]
            if there:
                try:
                    world.send(there[number % len(there)], key=key, other="", dup="", parts=[])
                except BackPressureError:
                    return

    def take_down(world: World) -> None:
        """What was accepted so far must be on disk; what has reached a target did so in this life."""
        accepted.update((route, id) for route, id in world.kept)
        reached.update((route, id) for route, _, id in world.done)

    async def end(world: World, changing: asyncio.Task[Any]) -> None:
        await world.heal()
        for script in world.scripts.values():
            script.let_go()
        with contextlib.suppress(NotReadyError, ControlError):
            await world.finish(changing)
        await world.stop()

    async def scenario(base: Path) -> None:
        folder = base / "first"
        folder.mkdir()
        for life in runs:
            folder = await one(folder, life)
        world = World(folder, first)
        world._sent = sent
        await world.start()
        await world.heal()
        await world.ends()
        await world.settle()
        reached.update((route, id) for route, _, id in world.done)
        buried = {
            (letter.route, Message.from_bytes(letter.message).id)
            for letter in await world.engine.dead_letters.page(limit=10_000)
        }
        lost = accepted - reached - buried
        assert not lost, f"{lost}\n{world.picture()}"
        await world.stop()

    with tempfile.TemporaryDirectory() as base:
        run(scenario(Path(base)))
