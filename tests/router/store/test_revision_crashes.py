"""A process that is killed while it changes its topology: one revision is left, and it is one that was told of."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from router.store.applied_files import content_digest
from router.store.revisions import INTERRUPTED
from tests.loop import Run
from tests.router.store.stores import opened

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 8
LINES_AT_MOST = 150
FILE = Path("/etc/router/topology.yaml")

# Announces "?N" when revision N is pending, "!N" before it confirms N and "+N" behind it, "-N" behind its failure,
# and "pause N" behind a pause with N as the reason. Every third revision comes from the file.
CHANGER = """
import asyncio, os, sys
from pathlib import Path
from actors.kit.database import Database
from router.store.pauses import Pauses
from router.store.revisions import Revisions
from router.store.schema import SCHEMA

def say(text):
    os.write(1, text.encode() + b"\\n")

async def main(path, file):
    database = Database(path, schema=SCHEMA)
    await database.open()
    revisions, pauses = Revisions(database), Pauses(database)
    await revisions.open()
    await pauses.open()
    last = await revisions.last_confirmed()
    base = last.number if last else None
    count = 0
    while True:
        count += 1
        number = await revisions.record_pending(
            action="apply", who="ana", at=1.0, name="shop", text=f"text {os.getpid()} {count}" + "x" * 5_000,
            fingerprint="", path=file, from_file=count % 3 == 0, base=base,
        )
        say(f"?{number}")
        if count % 4 == 0:
            await revisions.fail(number, "no")
            say(f"-{number}")
            continue
        say(f"!{number}")
        await revisions.confirm(number, {"number": number})
        say(f"+{number}")
        base = number
        await pauses.set("orders", "route", "ana", str(number), float(number))
        say(f"pause {number}")

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.mark.slow
def test_what_was_confirmed_before_a_kill_is_what_a_start_resumes(run: Run, tmp_path: Path) -> None:
    """Or the one that was being confirmed at that moment; whole, and with what its file held."""
    path = tmp_path / "x.db"
    moments = random.Random(21)
    changes = 0

    async def check(told: list[str]) -> None:
        numbers = {kind: [int(line[1:]) for line in told if line[0] == kind] for kind in "?!+-"}
        paused = [line.removeprefix("pause ") for line in told if line.startswith("pause ")]
        async with opened(path) as store:
            assert await store.database.integrity_problems() == []
            last = await store.revisions.last_confirmed()
            if last is None:
                assert not numbers["+"]
                return
            possible = numbers["+"][-1:] + [number for number in numbers["!"][-1:] if number not in numbers["+"]]
            assert not possible or last.number in possible
            assert last.report == {"number": last.number}
            assert last.text.startswith("text ")
            lines = {line.number: line for line in await store.revisions.page(limit=100_000)}
            assert {line.status for line in lines.values()} <= {"confirmed", "failed"}
            assert set(numbers["?"]) <= set(lines)
            assert all(lines[number].status == "confirmed" for number in numbers["+"])
            assert all(lines[number].why == "no" for number in numbers["-"])
            assert len(store.revisions.interrupted) <= 1
            assert all(lines[line.number].why == INTERRUPTED for line in store.revisions.interrupted)
            from_file = [line for line in lines.values() if line.status == "confirmed" and line.digest is not None]
            applied = await store.revisions.applied_file(FILE)
            if from_file:
                newest = max(from_file, key=lambda line: line.number)
                whole = await store.revisions.get(newest.number)
                assert applied is not None
                assert whole is not None
                assert (applied.revision, applied.digest) == (newest.number, content_digest(whole.text))
            if paused:
                assert int(store.pauses.all()["orders"].why) >= int(paused[-1])

    for _ in range(ROUNDS):
        changer = subprocess.Popen(
            [sys.executable, "-c", CHANGER, str(path), str(FILE)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert changer.stdout is not None
        told = [line for _, line in zip(range(moments.randrange(1, LINES_AT_MOST)), changer.stdout, strict=False)]
        changer.kill()
        # What it said before it died and was not read yet.
        told += changer.stdout.readlines()
        changer.wait(timeout=20)
        changer.stdout.close()
        told = [line.strip() for line in told]
        assert told
        changes += sum(line[0] == "+" for line in told)
        run(check(told))
    assert changes > ROUNDS
