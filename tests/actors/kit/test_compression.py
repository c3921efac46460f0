"""Compressed payloads are unfolded within a limit, whatever they claim."""

import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import DecodeError
from actors.kit.compression import UnfoldedTooLargeError, UnknownEncodingError, decompress


def raw_deflate(payload: bytes) -> bytes:
    folding = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return folding.compress(payload) + folding.flush()


@given(st.binary(max_size=5000))
def test_what_was_compressed_comes_back(payload: bytes) -> None:
    """gzip, and deflate as the standard has it and as some clients do."""
    assert decompress(gzip.compress(payload), "gzip", limit=5000) == payload
    assert decompress(gzip.compress(payload), " X-GZIP ", limit=5000) == payload
    assert decompress(zlib.compress(payload), "deflate", limit=5000) == payload
    assert decompress(raw_deflate(payload), "deflate", limit=5000) == payload
    assert decompress(payload, "identity", limit=5000) == payload


def test_a_gzip_of_several_members_is_one_payload() -> None:
    """And the limit is over all of them."""
    members = gzip.compress(b"a" * 60) + gzip.compress(b"b" * 40)
    assert decompress(members, "gzip", limit=100) == b"a" * 60 + b"b" * 40
    with pytest.raises(UnfoldedTooLargeError):
        decompress(members, "gzip", limit=99)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_costs_no_more_than_the_limit(encoding: str) -> None:
    """A gigabyte of zeros in a megabyte: refused, and not unfolded."""
    fold = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = fold(bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(UnfoldedTooLargeError):
            decompress(bomb, encoding, limit=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_the_limit_is_exact() -> None:
    """A byte more is too much."""
    assert len(decompress(gzip.compress(b"x" * 100), "gzip", limit=100)) == 100
    with pytest.raises(UnfoldedTooLargeError):
        decompress(gzip.compress(b"x" * 101), "gzip", limit=100)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_what_is_not_compressed_is_an_error_and_not_a_crash(payload: bytes, encoding: str) -> None:
    """A stranger sends what it likes."""
    with suppress(DecodeError):
        assert isinstance(decompress(payload, encoding, limit=1000), bytes)


def test_a_payload_that_ends_early_is_an_error() -> None:
    """Half a message is none."""
    with pytest.raises(DecodeError, match="too early"):
        decompress(gzip.compress(b"x" * 100)[:-4], "gzip", limit=1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "rot13"])
def test_an_unknown_encoding_is_named(encoding: str) -> None:
    """Also several on one another, which only an attacker needs."""
    with pytest.raises(UnknownEncodingError, match=encoding):
        decompress(b"x", encoding, limit=1000)
