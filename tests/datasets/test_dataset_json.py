"""``dataset.json`` of strangers: whatever is in it, only known errors come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.datasets import msd, nnunet
from med3dinsight.datasets.dataset_json import inside
from med3dinsight.errors import InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("channel_names", "modality", "labels", "training", "test", "numTraining", "file_ending", "name", "licence")
SOUND = {"modality": {"0": "CT"}, "labels": {"0": "none", "1": "liver"}, "training": []}


@given(changes=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_any_description_is_read_or_refused(changes: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "described"
    (folder / "imagesTr").mkdir(parents=True, exist_ok=True)
    (folder / "imagesTr/a_0000.nii").touch()
    (folder / "dataset.json").write_text(json.dumps(SOUND | changes))
    for layout in (msd, nnunet):
        layout.recognises(folder)
        try:
            sources, problems = layout.find(folder)
            odd = layout.oddities(folder, sources)
        except InputError as error:
            assert error.hint
        else:
            assert all(Path(source.image).is_relative_to(folder) for source in sources)
            assert all(item.reason and item.hint for item in problems + odd)


@given(name=st.text(alphabet="ab./\\: ", max_size=12))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    root = Path("/data/set")
    try:
        path = inside(root, name)
    except InputError:
        return
    assert path != root
    assert Path(str(path)).resolve().is_relative_to(root)
