"""`router validate` and `router schema`."""

import json
from pathlib import Path

import pytest

from tests.router.cli.conftest import Cli

GOOD = """\
router: 1
name: shop
actors:
  orders: {type: webhook, path: /orders}
  log: {type: log}
routes:
  to-log: {from: orders, to: log}
"""
WARNING = GOOD.replace("routes:", "  spare: {type: log}\nroutes:")
BAD = """\
router: 1
name: shop
actors:
  orders: {type: webhook, path: /orders, maxbody: 1MiB}
  log: {type: lgo}
routes:
  to-log: {from: orders, to: logg}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the topologies are."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("topology", GOOD), ("warning", WARNING), ("bad", BAD)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_a_valid_file_is_called_so(cli: Cli) -> None:
    """With what is in it; topology.yaml is taken where no file is named."""
    assert cli("validate").output == "topology.yaml is valid: 2 actors, 1 route\n"


def test_three_mistakes_give_three_places_and_78(cli: Cli) -> None:
    """Each with line, column and a caret under the place, all on standard error."""
    ended = cli("validate", "bad.yaml")
    assert (ended.code, ended.output) == (78, "")
    assert "bad.yaml:4:42: error: unknown option 'maxbody' for actor type 'webhook'" in ended.errors
    assert "    4 |   orders: {type: webhook, path: /orders, maxbody: 1MiB}" in ended.errors
    assert "^^^^^^^ did you mean 'max_body'?" in ended.errors
    assert "bad.yaml:5:15: error: unknown actor type 'lgo'" in ended.errors
    assert "bad.yaml:7:30: error: unknown actor 'logg'" in ended.errors
    assert ended.errors.endswith("\n3 problems\n")


def test_start_shows_the_same_problems(cli: Cli) -> None:
    """And starts nothing."""
    ended = cli("start", "bad.yaml")
    assert (ended.code, ended.output) == (78, "")
    assert ended.errors == cli("validate", "bad.yaml").errors
    assert not Path(".router").exists()


def test_warnings_fail_only_where_they_are_asked_to(cli: Cli) -> None:
    """They are shown either way."""
    for arguments, code in ((["warning.yaml"], 0), (["warning.yaml", "--strict"], 78)):
        ended = cli("validate", *arguments)
        assert ended.code == code
        assert "warning: no route uses actor 'spare'" in ended.errors
        assert ended.errors.endswith("\n1 warning\n")
        assert ("is valid" in ended.output) is (code == 0)


def test_a_file_that_is_not_there_is_a_problem(cli: Cli) -> None:
    """Like any other."""
    ended = cli("validate", "nowhere.yaml")
    assert ended.code == 78
    assert ended.errors == "nowhere.yaml: error: the file cannot be read: No such file or directory\n1 problem\n"


def test_machines_get_problems_as_objects(cli: Cli) -> None:
    """On standard output, valid or not."""
    ended = cli("validate", "bad.yaml", "--json")
    assert (ended.code, ended.errors) == (78, "")
    assert ended.json["valid"] is False
    assert [(problem["line"], problem["column"]) for problem in ended.json["problems"]] == [(4, 42), (5, 15), (7, 30)]
    assert cli("validate", "--json").json == {"valid": True, "file": "topology.yaml", "problems": []}
    assert cli("validate", "warning.yaml", "--json", "--strict").json["valid"] is False


def test_the_schema_describes_a_topology(cli: Cli, folder: Path) -> None:
    """On standard output, or in a file."""
    import jsonschema
    from ruamel.yaml import YAML

    schema = cli("schema").json
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(YAML(typ="safe").load(GOOD))
    assert not validator.is_valid(YAML(typ="safe").load(BAD))
    ended = cli("schema", "--output", "s.json")
    assert (ended.code, ended.output) == (0, "")
    assert json.loads((folder / "s.json").read_text()) == schema


def test_a_schema_that_cannot_be_written_is_told(cli: Cli) -> None:
    """No traceback."""
    ended = cli("schema", "--output", "no/such/folder/s.json")
    assert (ended.code, ended.output) == (1, "")
    assert "no/such/folder/s.json cannot be written: No such file or directory" in ended.errors
