from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from med3dinsight.captions.asking.requests import key_of, picture_of, slice_fingerprint
from med3dinsight.slices.rendering import SliceView
from med3dinsight.types import Plane

FACTS = {
    "voxels": "abc",
    "origin": (0, -3, 5),
    "size": 64,
    "plane": "axial",
    "index": 7,
    "settings": {"model": "m", "prompt": "p", "temperature": 0},
}


def view(shape: tuple[int, int], spacing_mm: tuple[float, float] = (1.0, 1.0)) -> SliceView:
    pixels = np.random.default_rng(0).integers(60, 255, shape).astype(np.uint8)
    edges = {"body_rows": (0, shape[0]), "body_columns": (0, shape[1])}
    scan = {"scan_rows": (0, shape[0]), "scan_columns": (0, shape[1])}
    return SliceView(
        pixels, pixels > 0, "ct", Plane.AXIAL, (0.0, 1.0), spacing_mm, 0.5, 0.5, **edges, **scan, in_hounsfield=True
    )


def drawn(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_key_is_of_every_value_and_of_no_order() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "ü"}], "temperature": 0.0}
    assert key_of(body) == key_of(dict(reversed(body.items())))
    assert len(key_of(body)) == 64
    others = [{**body, "model": "n"}, {**body, "temperature": 0.1}, {**body, "messages": []}]
    assert len({key_of(other) for other in [body, *others]}) == 4
    with pytest.raises(ValueError, match="JSON"):
        key_of({"temperature": float("nan")})


def test_a_fingerprint_changes_with_each_fact() -> None:
    changed = {"voxels": "abd", "origin": (0, -3, 6), "size": 65, "plane": "coronal", "index": 8, "settings": {}}
    prints = [slice_fingerprint(**{**FACTS, name: value}) for name, value in changed.items()]  # type: ignore[arg-type]
    assert len({slice_fingerprint(**FACTS), *prints}) == 7  # type: ignore[arg-type]


def test_a_picture_is_square_grey_and_holds_nothing_but_pixels() -> None:
    content = picture_of(view((40, 80)), 128)
    picture = drawn(content)
    assert (picture.size, picture.mode, picture.info) == ((128, 128), "L", {})
    kinds, place = [], 8
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        kinds.append(kind)
        place += 12 + length
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
    pixels = np.asarray(picture)
    assert not pixels[:32].any()
    assert not pixels[96:].any()
    assert pixels[40:88].min() > 0
    assert content == picture_of(view((40, 80)), 128)


def test_pixels_become_square() -> None:
    pixels = np.asarray(drawn(picture_of(view((20, 40), (2.0, 1.0)), 40)))
    assert pixels.min() > 0, "20 rows of 2 mm are as high as 40 columns of 1 mm are wide"


@given(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.integers(1, 90))
def test_a_picture_of_any_shape_can_be_drawn(shape: tuple[int, int], size: int) -> None:
    assert drawn(picture_of(view(shape), size)).size == (size, size)
