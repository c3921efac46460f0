"""What tests need from the system besides Python: one table, whether it is there, and how it gets there.

`python -m tests.system --install` installs with apt what is missing. Without the flag it does so only in CI,
as root, and otherwise just says what is missing.
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import pytest

INSTALL_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program that some tests run, and the Debian package that brings it."""

    command: str
    package: str
    purpose: str
    folders: str = ""
    """A pattern of where the package puts it, where that is not on the PATH."""

    def is_there(self) -> bool:
        return self.path() is not None

    def path(self) -> str | None:
        """Where it is."""
        elsewhere = sorted(glob.glob(self.folders)) if self.folders else []
        return shutil.which(self.command, path=os.pathsep.join((os.environ.get("PATH", ""), *elsewhere)))


PROGRAMS = {
    program.command: program
    for program in (
        Program("redis-server", "redis-server", "Redis, for what keeps state there"),
        Program("node", "nodejs", "Node.js, for the peers that others wrote"),
        Program("npm", "npm", "the peers' packages"),
        Program("mosquitto", "mosquitto", "the MQTT broker that most people run"),
        Program("mosquitto_pub", "mosquitto-clients", "its command-line clients"),
        Program("postgres", "postgresql", "PostgreSQL, for rows of tables", "/usr/lib/postgresql/*/bin"),
        Program("initdb", "postgresql", "PostgreSQL's folder of data", "/usr/lib/postgresql/*/bin"),
        Program("luac5.1", "lua5.1", "Lua's compiler, for the scripts that run in Redis"),
        Program("tmux", "tmux", "a terminal whose screen can be read"),
    )
}


def in_ci() -> bool:
    """Whether this is CI, where nothing may be left out."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def leave_out(reason: str) -> NoReturn:
    """End the test that runs: skipped, and failed in CI."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require(*commands: str) -> None:
    """Leave out the test that runs unless these programs of the table are installed."""
    missing = [command for command in commands if not PROGRAMS[command].is_there()]
    if missing:
        leave_out(f"{', '.join(missing)} not installed (bin/test --install does it, with apt)")


def install(programs: Sequence[Program]) -> None:
    """Install with apt, saying so; raises CalledProcessError after showing apt's last lines."""
    packages = sorted({program.package for program in programs})
    print(f"tests: installing {', '.join(packages)} with apt", file=sys.stderr, flush=True)
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    # Runlevel 1: the packages' own services stay off. Tests start their servers themselves, on free ports.
    settings = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        command = [*become_root, *settings, "apt-get", "--quiet", *arguments]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            print(*done.stdout.splitlines()[-15:], sep="\n", file=sys.stderr)
            raise subprocess.CalledProcessError(done.returncode, command)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system", description="What tests need.")
    parser.add_argument("--install", action="store_true", help="install what is missing with apt")
    wanted = parser.parse_args().install

    missing = [program for program in PROGRAMS.values() if not program.is_there()]
    if not missing:
        return 0
    if not wanted and not (in_ci() and os.geteuid() == 0):
        for program in missing:
            print(f"tests: {program.command} is missing ({program.purpose})", file=sys.stderr)
        return 1
    if shutil.which("apt-get") is None:
        print("tests: there is no apt-get here to install with", file=sys.stderr)
        return 1
    try:
        install(missing)
    except (OSError, subprocess.SubprocessError) as problem:
        print(f"tests: could not install: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
