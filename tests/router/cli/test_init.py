"""`router init`."""

from pathlib import Path

import pytest

from router.catalog import Catalog
from router.cli.init import DEFAULT, purpose, template, template_names
from router.topology.check import check
from router.topology.problems import render
from tests.router.cli.conftest import Cli


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", template_names())
def test_every_template_is_valid_without_a_warning(name: str) -> None:
    """With no variable set; `tests/live` starts each."""
    topology, problems = check(template(name), path=Path("t.yaml"), catalog=Catalog.installed(), environ={})
    assert topology is not None
    assert "\n".join(map(render, problems)) == ""
    assert purpose(template(name)).endswith(".")


def test_a_topology_is_written_and_what_comes_next_is_told(cli: Cli, folder: Path) -> None:
    """The first template where none is named."""
    ended = cli("init")
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output == (
        "topology.yaml is written: HTTP in, the router's log out.\n\nNext:\n  router validate\n  router start\n"
    )
    assert (folder / "topology.yaml").read_text() == template(DEFAULT)
    assert cli("validate", "--strict").code == 0


def test_the_next_commands_name_another_file(cli: Cli, folder: Path) -> None:
    """As a shell has to be given it."""
    ended = cli("init", "mqtt", "--output", "my router.yaml")
    assert ended.output.endswith("  router validate 'my router.yaml'\n  router start 'my router.yaml'\n")
    assert (folder / "my router.yaml").read_text() == template("mqtt")


def test_a_file_that_is_there_is_never_overwritten(cli: Cli, folder: Path) -> None:
    """Not even through a link that leads nowhere."""
    (folder / "topology.yaml").write_text("mine")
    ended = cli("init")
    assert (ended.code, ended.output) == (1, "")
    assert ended.errors == (
        "error: topology.yaml is there already, and is not overwritten\n"
        "       choose another file with --output, or move that one away\n"
    )
    assert (folder / "topology.yaml").read_text() == "mine"
    (folder / "link.yaml").symlink_to(folder / "elsewhere.yaml")
    assert cli("init", "--output", "link.yaml").code == 1
    assert not (folder / "elsewhere.yaml").exists()


def test_a_folder_that_is_not_there_is_told(cli: Cli) -> None:
    """And not made."""
    ended = cli("init", "-o", "no/topology.yaml")
    assert (ended.code, ended.errors) == (
        1,
        "error: no/topology.yaml cannot be written: there is no folder no\n       make it first\n",
    )


def test_an_unknown_template_is_wrong_usage(cli: Cli, folder: Path) -> None:
    """With the one that was probably meant, or all of them."""
    ended = cli("init", "websockets")
    assert (ended.code, ended.errors) == (
        2,
        "error: there is no template 'websockets'\n       did you mean 'websocket'?\n",
    )
    assert "there are: webhook, bridge, mqtt, queue, websocket" in cli("init", "xyz").errors
    assert cli("init", "../templates/mqtt").code == 2
    assert not list(folder.iterdir())


def test_templates_are_listed(cli: Cli, folder: Path) -> None:
    """Each with what it is for; nothing is written."""
    lines = cli("init", "--list").output.splitlines()
    assert [line.split()[0] for line in lines] == template_names()
    assert lines[0] == "webhook    HTTP in, the router's log out."
    assert not list(folder.iterdir())


def test_machines_are_told_the_same(cli: Cli) -> None:
    """The list, and what was done."""
    assert cli("init", "--list", "--json").json["templates"][0]["name"] == "webhook"
    assert cli("init", "bridge", "--json").json == {
        "template": "bridge",
        "file": "topology.yaml",
        "next": ["router validate", "router start"],
    }
