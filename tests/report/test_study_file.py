from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.report.study_file import toml_text

# TOML has no surrogates, and its whole numbers have 64 bits.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
tables = st.dictionaries(texts, values, max_size=3)


@given(st.dictionaries(texts, scalars | tables | st.lists(tables, min_size=1, max_size=3), max_size=4))
def test_what_is_written_reads_back_the_same(document: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(document)) == document


@pytest.mark.parametrize("name", ["demo.toml", "demo-quick.toml"])
def test_the_shipped_studies_read_back_the_same(name: str) -> None:
    document = tomllib.loads((files("med3dinsight") / "presets" / name).read_text())
    assert tomllib.loads(toml_text(document)) == document


def test_settings_without_a_value_are_left_out() -> None:
    assert tomllib.loads(toml_text({"report": {"title": None, "example_slices": 2}})) == {
        "report": {"example_slices": 2}
    }
