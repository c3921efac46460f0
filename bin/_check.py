"""Runs every check of the source, side by side where that saves time, and prints one line for each."""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
TYPED = ("actors", "router", "tests", "bench", "examples", "bin")
STEP_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Check:
    """One command that exits 0 when all is well."""

    name: str
    command: Sequence[str | Path]

    def run(self) -> bool:
        """Run it, print how it went (where badly, with all that it said), and return whether it went well."""
        started = time.monotonic()
        try:
            done = subprocess.run(
                self.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=STEP_TIMEOUT_S,
                check=False,
            )
            well, said = done.returncode == 0, done.stdout
        except subprocess.TimeoutExpired:
            well, said = False, f"not done after {STEP_TIMEOUT_S:.0f} s\n"
        line = f"{'ok    ' if well else 'FAILED'} {self.name:<9} {time.monotonic() - started:5.1f} s\n"
        # One write, so that checks that end together do not mix.
        sys.stdout.write(line if well else line + said)
        sys.stdout.flush()
        return well


def run_each(checks: Sequence[Check]) -> bool:
    """Run one after the other, all of them; whether all went well."""
    outcomes = [check.run() for check in checks]
    return all(outcomes)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/check", description="Check format, lint, types, layers, docs.")
    parser.add_argument("--fix", action="store_true", help="format, and mend what the linter can mend, first")
    fix = parser.parse_args().fix

    ruff = TOOLS / "ruff"
    style = [
        Check("format", [ruff, "format", "."] if fix else [ruff, "format", "--check", "."]),
        Check("lint", [ruff, "check", "--fix", "."] if fix else [ruff, "check", "."]),
    ]
    typed = [name for name in TYPED if (ROOT / name).is_dir()]
    types = Check("types", [sys.executable, "-m", "mypy", "--no-color-output", *typed])
    rest = [
        Check("layers", [TOOLS / "lint-imports", "--no-cache"]),
        Check("reference", [sys.executable, "-m", "router.cli.reference", "--check"]),
    ]
    if fix:  # the linter's fixes may leave lines to be formatted, and types are read from what results
        style.reverse()
        well = run_each(style)
        style = []
    else:
        well = True
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = pool.map(run_each, [[types], [*style, *rest]])
        well = all([well, *outcomes])
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
