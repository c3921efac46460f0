"""Makes or renews this checkout's .venv; the launchers run it when their quick check fails.

Runs on a Python outside .venv before anything is installed: standard library only.

`.venv/pointsman/` holds what the quick check reads: `place`, the checkout that it was made for and that its
scripts name, and for each level that is installed a copy of the pyproject.toml it was installed from. While
packages change there is `unfinished` instead, so that an environment left half-made is made anew.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "pointsman"
PLACE = STAMPS / "place"
UNFINISHED = STAMPS / "unfinished"
LEVELS = {"runtime": ROOT.as_posix(), "dev": f"{ROOT}[dev]"}

# Long enough for a slow line and a package that has to be compiled; short enough that a hung download ends.
STEP_TIMEOUT_S = 1800.0
LOCK_TIMEOUT_S = 3600.0

# What packages can be put into: a Python that is new enough and, without uv, has pip.
PROBE = "import sys; assert sys.version_info >= (3, 11); import {}"

# Its outcome is ignored: some packages ship files that are not for this Python.
COMPILE = """
import compileall, sys, sysconfig
for folder in (sysconfig.get_path("purelib"), *sys.argv[1:]):
    compileall.compile_dir(folder, quiet=2, workers=0)
"""


class StepFailedError(Exception):
    """A step ended badly; `lines` are the last that it printed."""

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__(title)
        self.lines = lines


class Steps:
    """Runs one command a step, and shows one line a step on stderr, with its time."""

    def __init__(self, lock: int) -> None:
        self._lock = lock
        self._live = sys.stderr.isatty()

    def run(self, title: str, command: Sequence[str | Path]) -> None:
        started = time.monotonic()
        print(f"  {title} ", end="", file=sys.stderr, flush=True)
        lines: deque[str] = deque(maxlen=20)
        # The command inherits the lock: where this process is killed, the next set-up waits for what it left
        # running.
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=ROOT,
            env=environment(),
            pass_fds=(self._lock,),
        ) as process:
            deadline = threading.Timer(STEP_TIMEOUT_S, process.kill)
            deadline.daemon = True
            deadline.start()
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                self._show(title, started, line)
            status = process.wait()
            deadline.cancel()
        took = f"{time.monotonic() - started:.1f} s"
        if status:
            self._end(title, f"failed after {took}")
            raise StepFailedError(title, list(lines))
        self._end(title, took)

    def _show(self, title: str, started: float, line: str) -> None:
        if self._live:
            shown = f"  {title} {time.monotonic() - started:.0f} s  {line.strip()}"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{shown[:width]}", end="", file=sys.stderr, flush=True)

    def _end(self, title: str, outcome: str) -> None:
        print(f"\r\033[K  {title} {outcome}" if self._live else outcome, file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """The caller's environment, without what would put packages elsewhere or make the output noisy."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    # uv brings certificates of its own, and would not know a company's; pip asks the system.
    return {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", **kept, "UV_NO_PROGRESS": "1"}


def runs(probe: str) -> bool:
    """Whether the environment's Python gets through these statements."""
    try:
        done = subprocess.run([PYTHON, "-I", "-c", probe], capture_output=True, timeout=60, check=False)
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def stamp(level: str) -> bytes | None:
    """The pyproject.toml that this level was installed from, or None."""
    try:
        return (STAMPS / level).read_bytes()
    except OSError:
        return None


def reason_to_renew(uv: str | None) -> str | None:
    """Why .venv has to be made from nothing, or None where packages can be put into what is there."""
    if not VENV.exists():
        return "first use"
    if UNFINISHED.exists():
        return "the last set-up did not finish"
    if PLACE.exists() and PLACE.read_text() != f"{ROOT}\n":
        return "it was made for another place"
    if not runs(PROBE.format("sys" if uv else "pip")):
        return "its Python does not work"
    return None


def reason_to_install(level: str, wanted: bytes) -> str | None:
    """Why packages have to be put into a .venv that works, or None where it is as it should be."""
    if not PLACE.exists():
        return "not made by bin/"
    if stamp(level) == wanted:
        return None
    return "tools for development" if stamp("runtime") == wanted else "pyproject.toml has changed"


def make(level: str, uv: str | None, lock: int) -> None:
    """Bring .venv to the level wanted, by uv where its path is given, else by venv and pip."""
    wanted = (ROOT / "pyproject.toml").read_bytes()
    renew = reason_to_renew(uv)
    reason = renew or reason_to_install(level, wanted)
    if reason is None:
        return
    print(f"pointsman: setting up {VENV} ({reason})", file=sys.stderr)
    began = time.monotonic()
    steps = Steps(lock)
    if renew:
        remove()
    STAMPS.mkdir(parents=True, exist_ok=True)
    UNFINISHED.touch()
    for name in ("place", *LEVELS):
        (STAMPS / name).unlink(missing_ok=True)
    if renew:
        base = os.path.realpath(sys.executable)
        version = ".".join(map(str, sys.version_info[:3]))
        create: list[str | Path]
        if uv:
            create = [uv, "venv", "--quiet", "--allow-existing", "--python", base, VENV]
        else:
            create = [base, "-m", "venv", VENV]
        steps.run(f"Python {version} environment", create)
    install: list[str | Path]
    if uv:
        install = [uv, "pip", "install", "--python", PYTHON, "--editable", LEVELS[level]]
    else:
        install = [PYTHON, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        install += ["--progress-bar=off", "--no-compile", "--editable", LEVELS[level]]
    steps.run(f"packages, by {'uv' if uv else 'pip'}", install)
    steps.run("byte code", [PYTHON, "-I", "-c", COMPILE, ROOT / "actors", ROOT / "router"])
    for name in LEVELS if level == "dev" else ("runtime",):
        (STAMPS / name).write_bytes(wanted)
    PLACE.write_text(f"{ROOT}\n")
    UNFINISHED.unlink()
    print(f"pointsman: set up in {time.monotonic() - began:.1f} s", file=sys.stderr)


def show(lines: Sequence[str]) -> None:
    """Print what a command said, set in."""
    print(*(f"    {line}" for line in lines), sep="\n", file=sys.stderr)


def remove() -> None:
    """Take .venv away, wherever a link of that name points."""
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(VENV)


@contextlib.contextmanager
def locked() -> Iterator[int]:
    """Hold the right to change .venv; yields the lock's file descriptor."""
    descriptor = os.open(ROOT / ".venv.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    told = False
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
            if not told:
                print("pointsman: waiting for another set-up of this checkout", file=sys.stderr, flush=True)
                told = True
            time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def main(level: str) -> int:
    """Set up, and return the exit code."""
    uv = shutil.which("uv")
    try:
        with locked() as lock:
            try:
                make(level, uv, lock)
            except StepFailedError as failed:
                if not uv:
                    raise
                # uv reads neither pip's settings nor its extra indexes, so pip may well get through.
                show(failed.lines[-3:])
                print("pointsman: trying pip instead", file=sys.stderr)
                make(level, None, lock)
    except StepFailedError as failed:
        show(failed.lines)
        print(f"pointsman: set-up failed: {failed}", file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"pointsman: set-up failed: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\npointsman: set-up interrupted; the next start makes it anew", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
