"""The launchers in bin/: how they set up .venv, when they leave it alone, and what they hand over.

Each test has a small checkout of its own, and a PATH with nothing on it but what the launchers may use. No
packages are installed: a `uv` written for the tests makes an empty environment, and notes each call.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(sys.executable).resolve()
DEADLINE_S = 60.0

UV = """#!/bin/sh
echo "$1" >>"{log}"
case $1 in
    venv)
        for environment; do :; done
        mkdir -p "$environment/bin" && ln -s "{python}" "$environment/bin/python"
        echo "home = {home}" >"$environment/pyvenv.cfg"
        ;;
    pip)
        {install}
        ;;
esac
"""

MAIN = """
import json, os, sys

def main() -> int:
    print(json.dumps({"arguments": sys.argv, "folder": os.getcwd()}))
    return 7
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout with the real bin/, and a PATH for it."""

    root: Path
    path: Path

    @property
    def stamps(self) -> Path:
        return self.root / ".venv" / "pointsman"

    def start(self, command: Path, *arguments: str, folder: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [command, *arguments],
            cwd=folder or self.root,
            env={
                "PATH": str(self.path),
                "HOME": str(self.root),
                "PIP_NO_INDEX": "1",
                "PYTHONPATH": str(self.root),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def router(self, *arguments: str) -> tuple[int, str, str]:
        """Run `bin/router`; returns exit code, standard output and standard error."""
        return end(self.start(self.root / "bin" / "router", *arguments))

    def program(self, name: str, text: str) -> None:
        """Put a script on the PATH."""
        script = self.path / name
        script.unlink(missing_ok=True)
        script.write_text(text)
        script.chmod(0o755)

    def uv(self, install: str = ":") -> None:
        """Put a uv on the PATH that runs these shell lines for `uv pip install`."""
        self.program("uv", UV.format(log=self.root / "uv.log", python=PYTHON, home=PYTHON.parent, install=install))

    def asked(self) -> list[str]:
        """What uv was asked for, in order."""
        return (self.root / "uv.log").read_text().split()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a launcher's end."""
    try:
        output, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    return process.returncode, output, errors


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout that was never set up, and a working uv."""
    root = tmp_path / "check out"
    shutil.copytree(ROOT / "bin", root / "bin", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pyproject.toml").write_text("[project]\n")
    for package in ("actors", "router", "router/cli"):
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
    (root / "router" / "cli" / "main.py").write_text(MAIN)
    path = tmp_path / "path"
    path.mkdir()
    for tool in ("sh", "cat", "cmp", "ln", "mkdir", "readlink", "sleep", "kill"):
        found = shutil.which(tool)
        assert found is not None, f"{tool} is missing"
        (path / tool).symlink_to(found)
    (path / "python3").symlink_to(PYTHON)
    checkout = Checkout(root, path)
    checkout.uv()
    return checkout


def test_the_first_start_sets_up_and_says_what_it_does(checkout: Checkout) -> None:
    """Progress goes to standard error, a line a step with its time; standard output is the command's."""
    code, output, errors = checkout.router("ps")
    assert code == 7
    assert '"arguments": ["router", "ps"]' in output
    assert output.count("\n") == 1
    assert "(first use)" in errors
    assert [line.split()[0] for line in errors.splitlines()[1:4]] == ["Python", "packages,", "byte"]
    assert all(line.endswith(" s") for line in errors.splitlines()[1:])


def test_a_later_start_does_nothing_but_start(checkout: Checkout) -> None:
    """Neither uv nor a Python of the system is asked for anything."""
    checkout.router()
    for name in ("uv", "python3"):
        (checkout.path / name).unlink()
    code, _, errors = checkout.router()
    assert (code, errors) == (7, "")


def test_a_change_of_pyproject_is_noticed(checkout: Checkout) -> None:
    """Packages are installed again into the environment that is there."""
    checkout.router()
    (checkout.root / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    code, _, errors = checkout.router()
    assert code == 7
    assert "pyproject.toml has changed" in errors
    assert checkout.asked() == ["venv", "pip", "pip"]


def test_the_router_does_without_what_only_development_needs(checkout: Checkout) -> None:
    """bin/router asks for the packages it runs on; bin/check adds the rest, and then both are content."""
    checkout.router()
    assert not (checkout.stamps / "dev").exists()
    end(checkout.start(checkout.root / "bin" / "check"))
    assert (checkout.stamps / "dev").exists()
    assert checkout.router()[2] == ""
    assert checkout.asked() == ["venv", "pip", "pip"]


def test_a_set_up_that_was_killed_is_made_anew(checkout: Checkout) -> None:
    """What was killed while packages changed leaves a mark, and nothing of it is used."""
    checkout.uv(install="touch=1; kill -9 $PPID")
    assert checkout.router()[0] != 0
    checkout.uv()
    code, _, errors = checkout.router()
    assert code == 7
    assert "did not finish" in errors
    assert checkout.asked() == ["venv", "pip", "venv", "pip"]


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    """As it is after the system's Python was upgraded."""
    checkout.router()
    link = checkout.root / ".venv" / "bin" / "python"
    link.unlink()
    link.symlink_to("/nowhere/python3")
    code, _, errors = checkout.router()
    assert code == 7
    assert "its Python does not work" in errors


def test_a_checkout_that_was_moved_is_set_up_anew(checkout: Checkout) -> None:
    """The environment's scripts name the folder that it was made in."""
    checkout.router()
    moved = checkout.root.rename(checkout.root.parent / "moved")
    code, _, errors = Checkout(moved, checkout.path).router()
    assert code == 7
    assert "made for another place" in errors


def test_an_environment_made_by_hand_is_kept_and_filled(checkout: Checkout) -> None:
    """A .venv of the user's that works is not thrown away."""
    mine = checkout.root / ".venv"
    (mine / "bin").mkdir(parents=True)
    (mine / "bin" / "python").symlink_to(PYTHON)
    (mine / "pyvenv.cfg").write_text(f"home = {PYTHON.parent}\n")
    assert checkout.router()[0] == 7
    assert (mine / "pyvenv.cfg").read_text() == f"home = {PYTHON.parent}\n"
    assert checkout.asked() == ["pip"]


@pytest.mark.slow
def test_two_first_starts_at_once_set_up_once(checkout: Checkout) -> None:
    """The second waits for the first, and then finds all done."""
    checkout.uv(install="sleep 0.5")
    router = checkout.root / "bin" / "router"
    both = [checkout.start(router), checkout.start(router)]
    assert [end(process)[0] for process in both] == [7, 7]
    assert checkout.asked() == ["venv", "pip"]


@pytest.mark.slow
def test_where_uv_and_pip_fail_the_last_lines_of_both_are_shown(checkout: Checkout) -> None:
    """pip is tried after uv, for it knows settings that uv does not; then the reason is on the screen."""
    checkout.uv(install="echo 'no route to the index'; exit 2")
    code, output, errors = checkout.router()
    assert (code, output) == (1, "")
    by_uv, by_pip = errors.split("trying pip instead")
    assert "no route to the index" in by_uv
    assert "No matching distribution found" in by_pip
    assert by_pip.endswith("pointsman: set-up failed: packages, by pip\n")


def test_a_python_that_is_too_old_is_named(checkout: Checkout) -> None:
    """The message says what is needed, what was found and where."""
    (checkout.path / "python3").unlink()
    (checkout.path / "uv").unlink()
    checkout.program("python3", "#!/bin/sh\necho 3.9.18\n")
    checkout.program("python3.13", "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    code, _, errors = checkout.router()
    assert code == 1
    assert errors == (f"pointsman: Python 3.11 or newer is needed; found {checkout.path}/python3 (3.9.18) on PATH\n")


def test_a_link_to_the_launcher_works_from_any_folder(checkout: Checkout, tmp_path: Path) -> None:
    """The caller's folder stays the caller's, even where it has a `router` of its own."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "router").mkdir(parents=True)
    (elsewhere / "router" / "__init__.py").write_text("raise SystemExit('the wrong router')\n")
    link = elsewhere / "r"
    link.symlink_to(os.path.relpath(checkout.root / "bin" / "router", elsewhere))
    code, output, errors = end(checkout.start(link, "validate", "a b.yaml", folder=elsewhere))
    assert code == 7, errors
    assert '["router", "validate", "a b.yaml"]' in output
    assert f'"folder": "{elsewhere}"' in output
