"""A weighted split: sticky by key, near its weights, and a change of weights moves no more keys than it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.message import Message
from router.routing.choose import Chooser, weighted

WEIGHTS = st.dictionaries(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True),
    st.floats(0, 1_000_000) | st.integers(0, 100).map(float),
    min_size=1,
    max_size=6,
).filter(lambda weights: any(weights.values()))
KEYS = st.lists(st.text(st.characters(exclude_categories=()), min_size=1, max_size=20), min_size=1, max_size=50)
"""Lone surrogates among them: JSON can hold those."""

ROOT = Path(__file__).parents[3]
IN_ANOTHER_PROCESS = """
import json, sys
from actors.core.message import Message
from router.routing.choose import weighted
weights, keys = json.load(sys.stdin)
choose = weighted(weights, lambda message: message.data)
print(json.dumps([choose(Message("m", "in", key)) for key in keys]))
"""


def key_of(message: Message) -> str:
    return str(message.data)


def split(weights: Mapping[str, float]) -> Chooser:
    return weighted(weights, key_of)


def chosen(choose: Chooser, key: str) -> str:
    (name,) = choose(Message("m", "in", key))
    return name


@given(weights=WEIGHTS, keys=KEYS)
def test_a_key_goes_to_one_target_and_stays_there(weights: dict[str, float], keys: list[str]) -> None:
    """Whatever else a message holds, and wherever the target stands in the mapping."""
    choose, other = split(weights), split(dict(reversed(weights.items())))
    for key in keys:
        name = chosen(choose, key)
        assert weights[name] > 0
        assert other(Message("another", "elsewhere", key, {"a": "b"})) == (name,)


@given(weights=WEIGHTS, keys=KEYS, grown=st.floats(0, 1_000_000), data=st.data())
def test_a_weight_that_grows_moves_keys_to_its_target_alone(
    weights: dict[str, float], keys: list[str], grown: float, data: st.DataObject
) -> None:
    """And one that shrinks, which is the same looked at from behind, moves keys from there alone."""
    name = data.draw(st.sampled_from(sorted(weights)))
    before, after = split(weights), split({**weights, name: max(weights[name], grown)})
    for key in keys:
        assert chosen(after, key) in (chosen(before, key), name)


@given(weights=WEIGHTS, keys=KEYS, added=st.floats(0, 1_000_000))
def test_a_new_target_takes_keys_and_no_others_move(weights: dict[str, float], keys: list[str], added: float) -> None:
    before, after = split(weights), split({**weights, "a-new-target": added})
    for key in keys:
        assert chosen(after, key) in (chosen(before, key), "a-new-target")


@settings(max_examples=30)
@given(weights=st.lists(st.integers(0, 100), min_size=2, max_size=5).filter(any))
def test_shares_come_near_the_weights(weights: list[int]) -> None:
    """2,000 keys, and five standard deviations with a little more for small shares: a fair draw hardly leaves that."""
    names = {f"target-{number}": float(weight) for number, weight in enumerate(weights)}
    choose, keys = split(names), 2_000
    shares = Counter(chosen(choose, f"+593{number:09}") for number in range(keys))
    for name, weight in names.items():
        share = weight / sum(weights)
        assert abs(shares[name] - share * keys) <= 5 + 5 * (keys * share * (1 - share)) ** 0.5
        assert weight or not shares[name]


def test_one_part_in_a_hundred_thousand_is_found_and_is_no_more() -> None:
    choose = split({"old": 99_999, "new": 1})
    taken = sum(chosen(choose, str(number)) == "new" for number in range(100_000))
    assert 0 < taken < 9


def test_another_process_chooses_the_same() -> None:
    """Python's own `hash` of a text differs from process to process."""
    weights = {"a": 1.0, "b": 2.5, "c": 40.0}
    keys = [f"key-{number}" for number in range(50)]
    told = [
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            input=json.dumps([weights, keys]),
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    choose = split(weights)
    assert [json.loads(text) for text in told] == [[[chosen(choose, key)] for key in keys]] * 2


def test_which_target_a_key_has_is_the_same_for_ever() -> None:
    """A new version that chose otherwise would move every conversation to another target at its start."""
    choose = split({"a": 90, "b": 10})
    assert "".join(chosen(choose, str(number)) for number in range(40)) == "aaaaaaaaabaaabaaaaaaaaaaaababaaaababbaaa"


def test_without_a_key_messages_are_spread_by_their_ids() -> None:
    choose = weighted({"a": 1, "b": 1}, lambda _: "")
    found = {choose(Message(f"id-{number}", "in", None)) for number in range(50)}
    assert found == {("a",), ("b",)}
    assert len({choose(Message("one", "in", number)) for number in range(50)}) == 1


def test_a_target_that_is_alone_takes_all_and_no_key_is_made() -> None:
    def fails(_: Message) -> str:
        raise AssertionError("nobody needs the key")

    assert weighted({"a": 1, "b": 0}, fails)(Message("m", "in", None)) == ("a",)
