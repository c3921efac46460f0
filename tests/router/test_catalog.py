"""The catalog finds types in the packages' folders and behind entry points, and imports none before it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from router.catalog import Catalog, CatalogError
from tests.router.topology.sample_types import Door, Filter, Sink

ROOT = Path(__file__).resolve().parents[2]


def test_a_catalog_that_is_given_types_holds_just_these() -> None:
    """Sorted by name, whether they are given as classes or as specs."""
    catalog = Catalog(endpoints=[Sink, Door.__endpoint_spec__], steps=[Filter])  # type: ignore[attr-defined]
    assert catalog.endpoint_names() == ("door", "sink")
    assert catalog.endpoint("door").options.__name__ == "DoorOptions"
    assert catalog.step_names() == ("filter",)
    assert catalog.step("filter").documentation == "Lets pass what an expression holds for."
    assert catalog.connection_names() == ()


def test_a_name_that_nobody_has_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Catalog().endpoint("door")
    assert "door" not in Catalog().endpoints


def test_the_installed_types_are_the_files_of_the_folders() -> None:
    """A file is named as its type is, with an underscore for a hyphen."""
    files = {file.stem.replace("_", "-") for file in (ROOT / "actors" / "steps").glob("[!_]*.py")}
    assert files <= set(Catalog.installed().step_names())


def test_every_installed_type_can_be_loaded_by_its_name() -> None:
    catalog = Catalog.installed()
    assert [catalog.endpoint(name).name for name in catalog.endpoint_names()] == list(catalog.endpoint_names())
    assert [catalog.step(name).name for name in catalog.step_names()] == list(catalog.step_names())


def test_listing_names_imports_no_type_and_using_one_imports_that_alone() -> None:
    script = """
import sys
from router.catalog import Catalog
def loaded():
    return sorted(n for n in sys.modules if n.startswith("actors.steps.") or n.startswith("actors.endpoints."))
catalog = Catalog.installed()
catalog.step_names(), catalog.endpoint_names()
assert loaded() == [], loaded()
catalog.step("filter")
assert loaded() == ["actors.steps.filter"], loaded()
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=30)


def entry_point(monkeypatch: pytest.MonkeyPatch, name: str, value: str, group: str = "router.actors") -> None:
    """Let one entry point be installed."""
    entry = metadata.EntryPoint(name, value, group)
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [entry] if group == entry.group else [])


def test_an_entry_point_brings_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_point(monkeypatch, "door", "tests.router.topology.sample_types:Door")
    catalog = Catalog.installed()
    assert "door" in catalog.endpoint_names()
    assert catalog.endpoint("door").name == "door"


def test_an_entry_point_cannot_take_the_name_of_a_type_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_point(monkeypatch, "filter", "tests.router.topology.sample_types:Filter", "router.steps")
    assert Catalog.installed().step("filter").build.__module__ == "actors.steps.filter"


@pytest.mark.parametrize(
    ("value", "reason"),
    [("no_such_package.at_all:Thing", "cannot be imported"), ("pathlib:Path", "is not registered as a type")],
)
def test_a_type_that_cannot_be_used_says_why(monkeypatch: pytest.MonkeyPatch, value: str, reason: str) -> None:
    """It is known by name, and asking for it is a CatalogError rather than any exception of its module."""
    entry_point(monkeypatch, "strange", value)
    catalog = Catalog.installed()
    assert "strange" in catalog.endpoints
    with pytest.raises(CatalogError, match=reason) as raised:
        catalog.endpoint("strange")
    assert raised.value.name == "strange"


def test_a_file_without_the_type_it_is_named_for_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import actors.steps

    (tmp_path / "misnamed_step.py").write_text("from tests.router.topology.sample_types import Filter\n")
    monkeypatch.setattr(actors.steps, "__path__", [str(tmp_path)])
    with pytest.raises(CatalogError, match="holds no type named 'misnamed-step'"):
        Catalog.installed().step("misnamed-step")
