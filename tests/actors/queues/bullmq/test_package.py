"""The Lua scripts of the installed package."""

import sys

import pytest

from actors.core.errors import RouterError
from actors.queues.bullmq.package import as_function, package_script
from actors.queues.bullmq.scripts import Scripts


def test_scripts_are_read_without_importing_the_package() -> None:
    imported = "bullmq" in sys.modules
    assert "KEYS[1]" in package_script("pause").text
    assert ("bullmq" in sys.modules) == imported


def test_a_script_that_is_not_there_is_a_mistake_in_words() -> None:
    with pytest.raises(RouterError, match="has no script nonsense"):
        package_script("nonsense")


def test_a_composition_has_the_scripts_of_the_package_unchanged() -> None:
    scripts = Scripts()
    assert package_script("moveToFinished").text in scripts.turn.text
    assert package_script("moveToActive").text in scripts.turn.text
    assert package_script("addStandardJob").text in scripts.add.text


def test_a_composition_is_made_once() -> None:
    assert Scripts().turn is Scripts().turn


def test_a_script_as_a_function_takes_what_a_script_finds() -> None:
    text = as_function("renew", "extendLocks")
    assert text.startswith("local function renew(KEYS, ARGV, redis)\n")
    assert text.endswith("\nend\n")
