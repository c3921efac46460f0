"""The Lua scripts of the installed package."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from actors.connections.redis.script import Script
from actors.core.errors import RouterError
from actors.queues.bullmq.operators import OperatorScripts
from actors.queues.bullmq.package import as_maker, package_script, package_text
from actors.queues.bullmq.scripts import Scripts

GLOBALS = {
    *("KEYS", "ARGV", "redis", "cjson", "cmsgpack", "math", "string", "table"),
    *("error", "ipairs", "pairs", "pcall", "select", "tonumber", "tostring", "type", "unpack"),
}
"""What Redis gives a script."""


def test_scripts_are_read_without_importing_the_package() -> None:
    imported = "bullmq" in sys.modules
    assert "KEYS[1]" in package_script("pause").text
    assert ("bullmq" in sys.modules) == imported


def test_a_script_that_is_not_there_is_a_mistake_in_words() -> None:
    with pytest.raises(RouterError, match="has no script nonsense"):
        package_script("nonsense")


def test_a_composition_has_the_scripts_of_the_package_line_by_line() -> None:
    """All of their code, but for the comments: only the place of their functions is another one."""
    scripts = Scripts()
    for composed, names in (
        (scripts.turn, ("moveToFinished", "moveToActive", "moveToDelayed", "retryJob")),
        (scripts.add, ("addStandardJob", "addDelayedJob", "addPrioritizedJob")),
    ):
        lines = Counter(line.strip() for line in composed.text.splitlines())
        for name in names:
            assert not Counter(code_of(package_text(name))) - lines, name


def code_of(text: str) -> list[str]:
    bare = re.sub(r"--\[\[.*?\]\]|--[^\n]*", "", text, flags=re.DOTALL)
    return [line.strip() for line in bare.splitlines() if line.strip() and not line.startswith("local rcall =")]


@pytest.mark.needs("luac5.1")
@pytest.mark.parametrize(
    "script",
    [
        *(getattr(OperatorScripts(), name) for name in ("add", "turn", "begin", "stalled", "job", "log", "clear")),
        *(OperatorScripts().again(state, "these") for state in ("failed", "delayed")),
    ],
    ids=lambda script: script.name,
)
def test_a_composition_knows_all_that_it_uses(script: Script) -> None:
    """A function that has lost sight of a variable would take it for a global one."""
    compiler = ["luac5.1", "-l", "-p", "-"]
    listing = subprocess.run(compiler, input=script.text, text=True, capture_output=True, check=True).stdout
    assert set(re.findall(r"[GS]ETGLOBAL.*; (\w+)", listing)) <= GLOBALS


def test_a_composition_is_made_once() -> None:
    assert Scripts().turn is Scripts().turn


def test_the_functions_of_a_script_are_made_with_it_and_not_at_each_call() -> None:
    made, called = as_maker("finish", "moveToFinished").split("return function(KEYS, ARGV)\n")
    assert made.startswith("local function finish(redis)\nlocal rcall = redis.call\n")
    assert "KEYS" not in made
    assert "local function" not in called


def test_a_script_without_functions_is_one() -> None:
    text = as_maker("state_of", "getStateV2")
    assert text.startswith("local function state_of(redis)\nlocal rcall = redis.call\nreturn function(KEYS, ARGV)\n")
    assert text.endswith("\nend\nend\n")
