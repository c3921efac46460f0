"""Payloads in and out."""

import json
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import DecodeError, DeliveryError
from actors.kit.codecs import Decode, decode, encode

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


@given(json_values)
def test_json_survives_both_ways(value: Any) -> None:
    written = json.dumps(value).encode()
    assert decode(written, JSON) == value
    if not isinstance(value, str):
        payload, content_type = encode(value)
        assert content_type == JSON
        assert decode(payload, content_type) == value


@given(st.binary())
def test_any_bytes_decode_somehow_when_nobody_says_what_they_are(payload: bytes) -> None:
    decode(payload)
    assert decode(payload, "application/octet-stream") == payload


@given(
    st.binary(), st.sampled_from(["json", "text", "form", "auto"]), st.sampled_from([None, JSON, "text/plain", FORM])
)
def test_any_bytes_decode_or_are_refused(payload: bytes, how: Decode, content_type: str | None) -> None:
    with suppress(DecodeError):
        decode(payload, content_type, how)


@pytest.mark.parametrize(
    ("payload", "content_type", "data"),
    [
        (b'{"a": 1}', JSON, {"a": 1}),
        (b'{"a": 1}', "application/vnd.api+json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b'{"a": 1}', "application/octet-stream", b'{"a": 1}'),
        (b'{"a": 1}', None, {"a": 1}),
        (b'{"a": 1}', "application/x-unknown", {"a": 1}),
        (b"hello", None, "hello"),
        (b"21.5", None, 21.5),
        (b"", None, ""),
        (b"\xff\xfe", None, b"\xff\xfe"),
        (b"a=1&b=2&a=3&c=", FORM, {"a": ["1", "3"], "b": "2", "c": ""}),
        (b"a=%C3%B1+x", FORM, {"a": "ñ x"}),
        ("ñ".encode("latin-1"), "text/plain; charset=ISO-8859-1", "ñ"),
        ('{"a":"ñ"}'.encode("utf-16"), 'application/json; charset="utf-16"', {"a": "ñ"}),
        (b"\xef\xbb\xbf{}", JSON, {}),
        (b"\xef\xbb\xbf{}", None, {}),
    ],
)
def test_auto_goes_by_the_content_type_and_then_by_what_parses(
    payload: bytes, content_type: str | None, data: Any
) -> None:
    assert decode(payload, content_type) == data


@pytest.mark.parametrize(
    ("payload", "how", "data"),
    [(b"1", "text", "1"), (b"1", "bytes", b"1"), (b"1", "json", 1), (b"a=1", "form", {"a": "1"})],
)
def test_what_a_source_demands_goes_before_the_content_type(payload: bytes, how: Decode, data: Any) -> None:
    assert decode(payload, "application/x-other", how) == data


@pytest.mark.parametrize(
    ("payload", "content_type", "words"),
    [
        (b'{"a": 1,\n "b" 2}', JSON, "not JSON: line 2, column 6: expected `:`"),
        (b"", JSON, "not JSON"),
        (b"NaN", JSON, "not JSON"),
        (b'{"a": -Infinity}', JSON, "not JSON"),
        (b'{"a": "\xff"}', JSON, "not JSON: line 1, byte 8: 0xff is not utf-8"),
        (b'{"a": "\\ud800"}', JSON, "not JSON"),
        (b"1" * 5000, JSON, "number out of range"),
        (b"a\nb\xff", "text/plain", "not text: line 2, byte 2: 0xff is not utf-8"),
        (b"x", "text/plain; charset=klingon", "unknown charset 'klingon'"),
        (b"x", "text/plain; charset=zlib", "unknown charset"),
        (b"x", "text/plain; charset=punycode", "unknown charset"),
        (b"a=%ff", FORM, "not a form"),
        (b"&".join([b"a=1"] * 1001), FORM, "not a form"),
    ],
)
def test_what_does_not_decode_is_refused_with_its_place(payload: bytes, content_type: str, words: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(payload, content_type)
    assert words in str(caught.value)


def test_the_last_of_duplicate_keys_wins() -> None:
    assert decode(b'{"a": 1, "a": 2}', JSON) == {"a": 2}


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("content_type", [JSON, None])
def test_json_a_hundred_thousand_deep_is_refused_at_once(opening: bytes, content_type: str | None) -> None:
    payload = opening * 100_000
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(DecodeError, match="nested deeper than 64"):
            decode(payload, content_type)
        assert time.perf_counter() - began < 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("depth", [1, 8, 64])
def test_the_depth_limit_is_exact(depth: int) -> None:
    limit = b"[" * depth + b"]" * depth
    decode(limit, JSON, max_depth=depth)
    with pytest.raises(DecodeError, match=f"nested deeper than {depth}"):
        decode(b"[" + limit + b"]", JSON, max_depth=depth)
    decode(json.dumps("[" * 500).encode(), JSON, max_depth=depth)


@pytest.mark.parametrize(
    ("data", "payload", "content_type"),
    [
        (b"\x00", b"\x00", "application/octet-stream"),
        ("ñ", "ñ".encode(), "text/plain; charset=utf-8"),
        ({"a": [1, "ñ", None, True]}, '{"a":[1,"ñ",null,true]}'.encode(), JSON),
        (None, b"null", JSON),
        ({"a": "NaN"}, b'{"a":"NaN"}', JSON),
        (["Infinity", "-Infinity"], b'["Infinity","-Infinity"]', JSON),
        (MappingProxyType({"a": (1, 2)}), b'{"a":[1,2]}', JSON),
    ],
)
def test_data_is_encoded_by_its_kind(data: Any, payload: bytes, content_type: str) -> None:
    assert encode(data) == (payload, content_type)


@pytest.mark.parametrize(
    "data", [float("nan"), {"a": float("inf")}, [-float("inf")], object(), [object()], "\ud800", ["\ud800"]]
)
def test_what_cannot_be_encoded_is_a_failure_that_no_retry_changes(data: Any) -> None:
    with pytest.raises(DeliveryError) as caught:
        encode(data)
    assert (caught.value.reason, caught.value.retryable) == ("invalid", False)


def test_real_webhooks_survive_both_ways(corpora: Path) -> None:
    for path in sorted((corpora / "whatsapp-webhooks").glob("*.json")):
        data = decode(path.read_bytes(), JSON)
        assert data == json.loads(path.read_bytes())
        assert decode(encode(data)[0]) == data
