"""The keyed hash of what a topology expanded to: it moves when that moves, and with nothing else."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.catalog import Catalog
from router.topology.check import check
from router.topology.fingerprint import fingerprint
from router.topology.model import Topology
from tests.router.topology.checking import topology_of

ROOT = Path(__file__).resolve().parents[3]
KEY = b"k" * 32
ENVIRON = {"SECRET": "hunter2", "URL": "http://crm", "WORD": "alarm"}
TEXT = """
settings: {state_dir: "/var/${WORD}", redact: [phone]}
actors:
  in: {type: door, path: /in, verify: {secret: "${SECRET}"}, users: {ana: "${SECRET}"}}
  out: {type: post, url: "${URL}/{{ data.id }}", token: "${SECRET}", limit: {max: 80, per: 1s}}
  sink: {type: sink}
groups: {g: {strategy: one_for_all, actors: [out, sink]}}
routes:
  r:
    from: in
    order_by: "{{ data.id }}"
    steps: [{filter: "data.kind == '${WORD}'"}, {list: {names: [a, b]}}]
    to: {match: [{when: data.a, to: out}], else: sink}
"""

PRINT = """
import sys
from tests.router.topology.test_fingerprint import ENVIRON, KEY, TEXT
from router.topology.fingerprint import fingerprint
from tests.router.topology.checking import topology_of
print(fingerprint(topology_of(TEXT, ENVIRON), KEY))
"""


def of(text: str = TEXT, environ: Mapping[str, str] = ENVIRON, *, key: bytes = KEY) -> str:
    return fingerprint(topology_of(text, environ), key)


@pytest.mark.slow
def test_it_is_the_same_in_every_process() -> None:
    """Whatever seed Python hashes with."""
    printed = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {of()}


@pytest.mark.parametrize("name", ENVIRON)
def test_it_changes_with_what_a_variable_stands_for(name: str) -> None:
    """In settings, options, templates and expressions, and where the value is a secret."""
    assert of(environ={**ENVIRON, name: "http://other"}) != of()


def test_it_changes_with_the_key() -> None:
    assert of(key=b"o" * 32) != of()
    assert len(of()) == 64


def test_secrets_are_hashed_themselves_and_not_what_is_shown_of_them() -> None:
    assert of() != of(environ={**ENVIRON, "SECRET": "**********"})


def test_layout_and_defaults_that_are_written_out_do_not_change_it() -> None:
    written = TEXT.replace("type: sink}", "enabled: true, type: sink}  # written out")
    assert written != TEXT
    assert of(written) == of()


def test_the_order_of_names_does_not_change_it() -> None:
    topology = topology_of(TEXT, ENVIRON)
    turned = replace(topology, actors=dict(reversed(list(topology.actors.items()))))
    assert fingerprint(turned, KEY) == of()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("names: [a, b]", "names: [b, a]"),
        ("actors: [out, sink]", "actors: [sink, out]"),
        ("data.a, to: out", "data.a, to: [out, sink]"),
        ("type: sink}", "type: sink, enabled: false}"),
        ("{list: ", "{filter: data.x}, {list: "),
        ("one_for_all", "rest_for_one"),
        ("redact: [phone]", "redact: [mail]"),
        ('{ana: "', '{bo: "'),
    ],
)
def test_it_changes_with_all_that_a_topology_says(before: str, after: str) -> None:
    assert before in TEXT
    assert of(TEXT.replace(before, after)) != of()


WORDS = st.text("ab'{}:,[]\u00e9", min_size=1, max_size=6)


@given(one=st.tuples(WORDS, WORDS), other=st.tuples(WORDS, WORDS))
def test_two_that_differ_in_their_secrets_have_different_ones(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Values do not run into one another."""
    text = "actors: {a: {type: door, path: /a, verify: {secret: '${A}'}, users: {ana: '${B}'}}}\n"

    def print_of(values: tuple[str, str]) -> str:
        return fingerprint(topology_of(text, {"A": values[0], "B": values[1]}), KEY)

    assert (print_of(one) == print_of(other)) == (one == other)


def installed(text: str, password: str = "p") -> Topology:
    catalog, environ = Catalog.installed(), {"PASSWORD": password}
    topology, problems = check(text, path=ROOT / "topology.yaml", catalog=catalog, environ=environ)
    assert topology is not None, problems
    return topology


def test_every_type_that_is_installed_can_be_hashed() -> None:
    """Connections, topics, schedules, URLs and trees of templates among them."""
    text = (ROOT / "topology.yaml").read_text()
    assert fingerprint(installed(text), KEY) == fingerprint(installed(text), KEY)
    mqtt = """router: 1
name: test
connections: {broker: {type: mqtt, url: "mqtt://localhost", username: u, password: "${PASSWORD}"}}
actors:
  in: {type: mqtt, connection: broker, subscribe: [a/#]}
  out: {type: mqtt, connection: broker, publish: "b/{{ data.id }}", payload: {a: ["{{ data.x }}", 2]}}
  tick: {type: timer, every: 5s, data: {at: "{{ now }}"}}
routes: {r: {from: [in], to: out}, s: {from: tick, to: out}}
"""
    found = fingerprint(installed(mqtt), KEY)
    assert fingerprint(installed(mqtt), KEY) == found
    assert fingerprint(installed(mqtt, "another"), KEY) != found
    for before, after in (
        ("data.id", "data.key"),
        ("data.x", "data.y"),
        ("now", "now + 1"),
        ("a/#", "b/#"),
        ("5s", "6s"),
    ):
        assert fingerprint(installed(mqtt.replace(before, after)), KEY) != found
