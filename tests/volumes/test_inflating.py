"""Decompression against the standard library's, and what it does with files that are cut or damaged."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.volumes.inflating import inflate


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.integers(0, 9), st.integers(0, 20))
def test_all_members_come_out_as_from_the_standard_library(members, level, padding):
    packed = b"".join(gzip.compress(part, level) for part in members)
    assert inflate(packed + b"\0" * padding, 1000) == gzip.decompress(packed) == b"".join(members)


def test_every_cut_of_a_file_is_told():
    packed = gzip.compress(bytes(range(256)) * 3)
    for end in range(1, len(packed)):
        with pytest.raises(EOFError):
            inflate(packed[:end], 10_000)


@pytest.mark.parametrize("place", [-8, -5, -4, -1])
def test_a_wrong_checksum_or_length_is_told(place):
    packed = bytearray(gzip.compress(b"voxels" * 50))
    packed[place] ^= 1
    with pytest.raises(zlib.error):
        inflate(bytes(packed), 10_000)


def test_garbage_after_the_end_is_told():
    with pytest.raises(zlib.error):
        inflate(gzip.compress(b"voxels") + b"something else", 10_000)


def test_a_bomb_is_stopped_soon_after_the_limit():
    packed = gzip.compress(np.zeros(50_000_000, dtype=np.uint8).tobytes())
    tracemalloc.start()
    content = inflate(packed, 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 1_000_000 < len(content) <= 1_000_001 and peak < 10_000_000
