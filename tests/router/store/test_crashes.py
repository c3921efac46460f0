"""A process that is killed while it writes: what was committed is there, whatever the moment."""

import random
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.loop import Run
from tests.router.store.stores import opened

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 10
LINES_AT_MOST = 2_500

# Announces on its output: "+ROW TEXT" when a row is committed, "-ROW" before it settles one, "!ROW TEXT" when a
# row has become a dead letter. Appends until it is killed, twenty at a time.
WRITER = """
import asyncio, os, sys
from functools import partial
from pathlib import Path
from actors.kit.database import Database
from router.store.dead_letter import DeadLetter
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal
from router.store.schema import SCHEMA

async def main(path, seed):
    database = Database(path, schema=SCHEMA, lazy_delay_s=0.002)
    await database.open()
    journal = Journal(database, max_bytes=1 << 40)
    await journal.open()
    dead_letters = DeadLetters(database, journal)
    await dead_letters.open()
    count = 0

    def say(text):
        os.write(1, text.encode() + b"\\n")

    def moved(row, text, error):
        assert error is None
        say(f"!{row} {text}")

    def committed(row_of, text, error):
        assert error is None
        row = row_of[0]
        say(f"+{row} {text}")
        if row % 3 == 0:
            say(f"-{row}")
            journal.settle(row)
        elif row % 7 == 0:
            letter = DeadLetter(1.0, "a", None, "refused", "", 1, None, text, "s", text.encode())
            dead_letters.add(letter, row, partial(moved, row, text))
        elif row % 5 == 0:
            journal.progress(row, text.encode(), 1, 1)
        append()

    def append():
        nonlocal count
        count += 1
        text = f"{seed}-{count}-" + "x" * (count % 700)
        row_of = []
        row_of.append(journal.append("ab"[count % 2], text.encode(), partial(committed, row_of, text)))

    for _ in range(20):
        append()
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def hear(output: IO[str], lines: int, kept: dict[int, str], dead: set[str]) -> None:
    """Take in what a writer announces: rows that must be there, and messages that must be dead letters."""
    for _, line in zip(range(lines), output, strict=False):
        row, _, text = line[1:].rstrip("\n").partition(" ")
        match line[0]:
            case "+":
                kept[int(row)] = text
            case "-":
                del kept[int(row)]
            case "!":
                dead.add(kept.pop(int(row)))


@pytest.mark.slow
def test_what_was_committed_is_there_after_a_kill(run: Run, tmp_path: Path) -> None:
    """Nothing that was announced is missing, nothing is both in the journal and dead, and the file is sound."""
    path = tmp_path / "x.db"
    kept: dict[int, str] = {}
    dead: set[str] = set()
    moments = random.Random(20)

    async def check() -> None:
        async with opened(path) as store:
            assert await store.database.integrity_problems() == []
            rows = {row.row: row.message.decode() for route in "ab" for row in await store.load_all(route)}
            letters = {letter.message_id for letter in await store.dead_letters.page(limit=1_000_000)}
        missing = {row for row, text in kept.items() if rows.get(row) != text and text not in letters}
        assert not missing
        assert dead <= letters
        assert not letters & set(rows.values())
        # A row that is gone leaves its number to the next round.
        kept.clear()
        kept.update(rows)

    for number in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        hear(writer.stdout, moments.randrange(1, LINES_AT_MOST), kept, dead)
        writer.kill()
        # What it said before it died and was not read yet.
        hear(writer.stdout, 10**9, kept, dead)
        writer.wait(timeout=20)
        writer.stdout.close()
        run(check())
