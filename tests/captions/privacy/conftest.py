"""A case, and a policy that fits it."""

from __future__ import annotations

import dataclasses

import pytest

from med3dinsight.records import Case

_CASE = Case(
    id="a", subject="s", image="/data/liver/a.nii.gz", modality="ct", modality_guessed=False, shape=(4, 4, 4),
    spacing_mm=(1.0, 1.0, 1.0), affine=((1.0, 0.0, 0.0, 0.0),) * 4, source_shape=(4, 4, 4),
    source_affine=((1.0, 0.0, 0.0, 0.0),) * 4, source_sha256="", voxel_sha256="", window=(0.0, 1.0), offset=0,
    has_label=False,
)  # fmt: skip
POLICY = {
    "data_sets": '["Liver study"]',
    "licence": '"own data, consent form 3"',
    "third_parties": '"allowed"',
    "decided_by": '"Dr. Example"',
    "date": "2026-03-01",
    "endpoints": '["api.example.com"]',
}


@pytest.fixture
def case():
    """Makes a case of the data set that the policy names, with some fields changed."""
    return lambda **changed: dataclasses.replace(_CASE, **{"origin": "Liver study", **changed})


@pytest.fixture
def policy(tmp_path):
    """Writes a policy with some lines changed; None leaves one out."""

    def write(**changed):
        path = tmp_path / "policy.toml"
        lines = {**POLICY, **changed}
        path.write_text("".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None))
        return path

    return write
