"""The generated reference: it says what the code says, and notices when it does not."""

import re
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, RootModel

from actors.core.spec import Options
from actors.kit.secrets import Secret
from router.cli import reference
from router.cli.main import ENTRIES
from router.cli.option_rows import Row, rows_of, value_of
from router.topology.model import MailboxOptions


@cache
def pages() -> dict[str, str]:
    return reference.pages()


def test_every_command_type_and_step_has_its_section() -> None:
    """Those of this package."""
    catalog = reference.own_catalog()
    assert all(f"\n## router {entry.name}\n" in pages()["cli.md"] for entry in ENTRIES)
    assert "\n### router dead-letters replay\n" in pages()["cli.md"]
    assert {"webhook", "http", "log"} <= set(catalog.endpoint_names())
    assert all(f"\n## {name}\n" in pages()["actors.md"] for name in catalog.endpoint_names())
    assert all(f"\n## {name}\n" in pages()["steps.md"] for name in catalog.step_names())
    assert all(f"\n## {name}\n" in pages()["topology.md"] for name in ("settings", "actors", "routes", "groups"))


def test_every_option_has_a_description() -> None:
    """A row without one is an option nobody can use."""
    for name in ("actors.md", "steps.md", "topology.md"):
        rows = re.findall(r"^\| `(?P<option>[^`]+)` \|.*\| (?P<text>[^|]*) \|$", pages()[name], re.MULTILINE)
        assert rows
        assert [option for option, text in rows if not text.strip()] == []


def test_links_within_the_reference_lead_somewhere() -> None:
    """To a page, and to a heading on it."""
    for name, text in pages().items():
        for page, anchor in re.findall(r"\]\(([a-z.]*)#?([a-z-]*)\)", text):
            target = pages()[page or name]
            headings = [line.lstrip("# ").replace(" ", "-") for line in target.splitlines() if line.startswith("#")]
            assert not anchor or anchor in headings, f"{name}: {page}#{anchor}"


def test_the_pages_are_the_same_each_time() -> None:
    """Whatever else is installed, and whoever runs it."""
    assert reference.pages() == pages()


@pytest.mark.slow
def test_writing_and_checking_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was written does not drift; what is changed, missing or left over does, with exit code 1."""
    folder = tmp_path / "reference"
    assert reference.main(["--check"], folder) == 1
    assert "cli.md is missing" in capsys.readouterr().err
    assert reference.main([], folder) == 0
    assert reference.main(["--check"], folder) == 0
    assert capsys.readouterr().err == ""
    (folder / "cli.md").write_text("mine")
    (folder / "notes.md").touch()
    assert reference.main(["--check"], folder) == 1
    errors = capsys.readouterr().err
    assert "cli.md is not what the code says" in errors
    assert "notes.md is not generated" in errors
    assert "python -m router.cli.reference writes it anew" in errors


class Inner(Options):
    """A model within another."""

    token: Secret
    """Who it is."""
    kinds: tuple[str, ...] = ("a",)
    """What it takes,
    in words."""


class Outer(Options):
    """A model with everything."""

    inner: Inner | None = None
    """May be left out."""
    boxes: dict[str, MailboxOptions] = Field(default_factory=dict)
    """By name."""
    cases: tuple[Inner, ...] = ()
    """In order."""


class Other(Options):
    """Another mapping in the same place."""

    name: str
    """What it is called."""


class Either(Options):
    """A model with one of two mappings."""

    way: Inner | Other
    """By token or by name."""


class Short(RootModel[str | Outer]):
    """Written short, or in full."""


def test_options_of_models_in_models_have_dotted_names() -> None:
    """`inner.token`; of lists `cases[].token`, of mappings `boxes.NAME.capacity`."""
    rows = {row.name: row for row in rows_of(Outer)}
    assert rows["inner"] == Row("inner", "mapping", "", "May be left out.", False)
    assert rows["inner.token"] == Row("inner.token", "secret", "", "Who it is.", True)
    assert rows["inner.kinds"] == Row("inner.kinds", "list of text", '`["a"]`', "What it takes, in words.", False)
    assert rows["cases[].token"].required
    assert rows["boxes.NAME.capacity"].type == "whole number, 1 to 1,000,000"


def test_of_two_mappings_the_options_of_both_are_there_and_none_is_required() -> None:
    """Which of them are depends on which mapping it is."""
    assert [(row.name, row.required) for row in rows_of(Either)] == [
        ("way", True),
        ("way.token", False),
        ("way.kinds", False),
        ("way.name", False),
    ]


@pytest.mark.parametrize(("model", "value"), [(Outer, ""), (Short, "text"), (RootModel[int], "whole number")])
def test_a_model_may_take_a_value_instead_of_a_mapping(model: type[BaseModel], value: str) -> None:
    """As a step that is written short."""
    assert value_of(model) == value
    assert bool(rows_of(model)) is (value != "whole number")
