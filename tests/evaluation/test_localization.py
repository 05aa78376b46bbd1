from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learned_workspace import CROP, POSITIONS, SPACING_MM, Toy, ToyTowers, copy_of, pretrain_config, text_of

from med3dinsight.alignment.aligned_encoder import AlignedEncoder, load_aligned
from med3dinsight.encoders.seen import UnknownPeopleWarning
from med3dinsight.errors import ConfigError, InputError, LeakageError, WorkspaceError
from med3dinsight.evaluation.localization import run_localize, score_model
from med3dinsight.evaluation.readout_config import LocalizeConfig
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.readouts.gallery import Gallery, answer, build_gallery
from med3dinsight.records import SliceRef
from med3dinsight.towers.projection import load_projections
from med3dinsight.types import Plane
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.voxel_store import VoxelStore, read_manifest

SCORES = {"mean_mm", "median_mm", "crop_recall_at_1", "gallery", "slices"}
CPU = torch.device("cpu")


@pytest.fixture
def work(pretrained_once: Path, tmp_path: Path) -> Workspace:
    """A copy of the workspace with the runs ``first`` and ``second``, which have not seen cleo."""
    return copy_of(pretrained_once, tmp_path)


def gallery_of(work: Workspace, people: list[str] | None = None, **changes: Any) -> Gallery:
    return build_gallery(work, people or ["cleo"], "toy", "tissue", **{"max_crops": 40, "seed": 0, **changes})


@pytest.mark.parametrize("other_plane", [False, True])
def test_crops_that_were_captioned_at_other_places_are_refused(work: Workspace, other_plane: bool) -> None:
    with CaptionStore(work.captions, create=True) as ledger:
        slices = ledger.slices()
        row = next(row for row, ref in enumerate(slices) if ref.crop.case == "cleo-image")
        plane = Plane((slices[row].plane + other_plane) % 3)
        slices[row] = SliceRef(slices[row].crop, plane, slices[row].index + 1)
        ledger.replace_slices(slices)
    with pytest.raises(ConfigError, match=r"captioned at others.*uniform"):
        gallery_of(work)


class Oracle(torch.nn.Module):
    """Answers with the features that lie where it is asked, in the crop that it is shown."""

    def __init__(self, gallery: Gallery, shift: int = 0) -> None:
        super().__init__()
        self.shown = [torch.from_numpy(gallery.volumes(crop).astype(np.float32) / 255) for crop in gallery.crops]
        self.features = [side.flatten(1, 2) for side in gallery.features]
        self.planes, self.positions = gallery.planes, gallery.positions
        self.shift = shift

    def forward(self, volumes: torch.Tensor, planes: torch.Tensor, positions: torch.Tensor) -> Any:
        assert torch.equal(planes[0], self.planes)
        assert torch.allclose(positions[0], self.positions)
        matches = [number for number, shown in enumerate(self.shown) if torch.allclose(shown, volumes[0, 0])]
        if not matches:
            return tuple(torch.randn(1, *side.shape[1:]) for side in self.features)
        per_plane = [side[matches[0]].reshape(3, POSITIONS, -1).roll(self.shift, 1) for side in self.features]
        return tuple(side.flatten(0, 1)[None] for side in per_plane)


def test_a_model_that_knows_the_slices_makes_no_error_and_the_wrong_volume_a_large_one(work: Workspace) -> None:
    gallery = gallery_of(work)
    torch.manual_seed(0)
    scores = score_model(Oracle(gallery), gallery, "both", CPU)  # type: ignore[arg-type]
    assert scores["volume"]["mean_mm"] == 0
    # Texts say plane and place only and are alike in all crops; the images tell the crops apart.
    assert scores["image_only"]["crop_recall_at_1"] == 1
    assert scores["text_only"]["crop_recall_at_1"] == pytest.approx(1 / 4)
    assert scores["wrong_volume"]["mean_mm"] > 5
    assert scores["wrong_volume"]["crop_recall_at_1"] < 0.6


def test_a_model_that_is_one_position_off_is_one_spacing_of_positions_wrong(work: Workspace) -> None:
    gallery = gallery_of(work)
    scores = score_model(Oracle(gallery, shift=1), gallery, "image", CPU)  # type: ignore[arg-type]
    assert scores["volume"]["median_mm"] == pytest.approx(CROP * SPACING_MM / POSITIONS)


def test_the_question_is_every_slice_of_the_persons_crops_with_its_own_features(work: Workspace) -> None:
    gallery = gallery_of(work)
    store = VoxelStore(work.prepared)
    with CaptionStore(work.captions) as ledger:
        slices = ledger.slices()
    _, text = load_projections(work.features / "toy/tissue/projection.safetensors")
    assert {crop.case for crop in gallery.crops} == {"cleo-image"}
    for number, crop in enumerate(gallery.crops):
        refs = [ref for ref in slices if ref.crop == crop]
        expected = text(ToyTowers().embed_texts([text_of(ref) for ref in refs]).astype(np.float16))
        assert torch.allclose(gallery.features[1][number].flatten(0, 1), expected, atol=1e-5)
        assert gallery.planes.tolist() == [int(ref.plane) for ref in refs]
        assert gallery.positions.tolist() == pytest.approx([ref.relative_position for ref in refs])
        places = [(ref.index + 0.5) * store.cases[crop.case].spacing_mm[ref.plane.axis] for ref in refs]
        assert gallery.places_mm[number].flatten().tolist() == pytest.approx(places)


def test_the_wrong_volumes_are_other_peoples_none_twice_before_all(work: Workspace) -> None:
    gallery = gallery_of(work)
    assert len(gallery.wrong) == len(gallery.crops) == 4
    assert not {crop.case for crop in gallery.wrong} & {"cleo-image"}
    assert len(set(gallery.wrong)) == 4
    assert gallery_of(work).wrong == gallery.wrong
    assert gallery_of(work, seed=1).wrong != gallery.wrong
    with_twelve = gallery_of(work, people=["bert", "cleo"])
    assert len(set(with_twelve.wrong)) == 4, "there are but four crops of others for eight"


def test_wrong_volumes_are_of_the_same_modality_where_there_are_any(toy: Toy) -> None:
    toy.add("anna")
    toy.add("mia")
    toy.add("cleo")
    path = toy.scans / "samples.csv"
    rows = [
        f"{name},{name},{kind},{name}/image.nii.gz" for name, kind in (("anna", "ct"), ("mia", "mr"), ("cleo", "mr"))
    ]
    path.write_text("\n".join(["id,subject,modality,image", *rows]) + "\n")
    toy.prepare(modality="auto")
    toy.caption()
    toy.embed()
    assert {crop.case for crop in gallery_of(toy.workspace).wrong} == {"mia"}
    assert {crop.case for crop in gallery_of(toy.workspace, ["anna"]).wrong} == {"mia", "cleo"}


def test_each_crop_is_asked_alone(work: Workspace) -> None:
    """The answer to a crop does not depend on the others of the gallery."""
    gallery = gallery_of(work)
    model, _ = load_aligned(work.pretraining / "first")
    both = answer(model.eval(), gallery, gallery.crops[:2], CPU)
    alone = answer(model.eval(), gallery, gallery.crops[1:2], CPU)
    for one, other in zip(both, alone, strict=True):
        assert one.shape[:3] == (2, 3, POSITIONS)
        assert torch.equal(one[1:], other)


def test_the_file_holds_the_keys_of_the_contract_for_every_arm(work: Workspace) -> None:
    config = LocalizeConfig(arms={"ours": ("first", "second")}, controls={"ours": ("second",)}, people=("cleo",))
    result = run_localize(config, work)
    rows = json.loads((work.evaluation / "localization.json").read_text())
    assert rows == result.arms
    assert Path(result.localization) == work.evaluation / "localization.json"
    row = rows["ours"]
    assert row["person"] == "cleo"
    assert row["seeds"] == [0, 1]
    for part in ("volume", "wrong_volume", "shuffled_captions", "image_only", "text_only"):
        assert set(row[part]) == SCORES
        assert row[part]["gallery"] == 4
        assert isinstance(row[part]["gallery"], int)
        assert all(math.isfinite(value) for value in row[part].values())
    by_seed = row["by_seed"]["volume"]
    assert row["volume"]["mean_mm"] == pytest.approx(np.mean([scores["mean_mm"] for scores in by_seed]))
    assert row["shuffled_captions"] == by_seed[1]
    assert row["control_seeds"] == [1]


def test_without_settings_every_run_is_an_arm_and_unseen_people_are_asked(work: Workspace) -> None:
    arms = run_localize(LocalizeConfig(), work).arms
    assert list(arms) == ["first", "second"]
    assert {row["person"] for row in arms.values()} == {"cleo"}
    assert all(row["shuffled_captions"] is None for row in arms.values())


def test_the_gallery_is_no_larger_than_asked(work: Workspace) -> None:
    assert run_localize(LocalizeConfig(max_crops=2), work).arms["first"]["volume"]["gallery"] == 2


def test_a_second_run_finds_all_done_and_takes_no_torch(work: Workspace) -> None:
    first = run_localize(LocalizeConfig(), work)
    code = """
import json, sys
from med3dinsight.evaluation.localization import run_localize
from med3dinsight.evaluation.readout_config import LocalizeConfig
from med3dinsight.workspace import Workspace
result = run_localize(LocalizeConfig(), Workspace(sys.argv[1]))
print(json.dumps([result.__dict__, "torch" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(work.root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{**first.__dict__, "done_before": True}, False]


def test_a_file_that_is_gone_is_written_again(work: Workspace) -> None:
    first = run_localize(LocalizeConfig(), work)
    Path(first.localization).unlink()
    assert run_localize(LocalizeConfig(), work) == first
    assert json.loads(Path(first.localization).read_text()) == first.arms


def test_a_run_that_matched_one_side_is_asked_by_that_side(work: Workspace) -> None:
    facts = json.loads((work.pretraining / "first/encoder.json").read_text())
    (work.pretraining / "first/encoder.json").write_text(json.dumps({**facts, "match": "text"}))
    row = run_localize(LocalizeConfig(arms={"first": ("first",)}), work).arms["first"]
    assert row["volume"] == row["text_only"]
    assert row["volume"] != row["image_only"]


def test_a_run_on_shuffled_texts_is_asked_with_the_true_ones(toy: Toy) -> None:
    work = toy.ready("anna", "bert", "cleo", held_out=("cleo",))
    with CaptionStore(work.captions) as ledger:
        slices = ledger.slices()
    dealt = {ref.key: text_of(other) for ref, other in zip(slices, slices[7:] + slices[:7], strict=True)}
    toy.caption("shuffled", text=lambda ref: dealt[ref.key], shuffle_of="tissue")
    toy.embed("shuffled", held_out=("cleo",))
    pretrain(pretrain_config(captioner="shuffled", run="control", held_out=("cleo",), steps=1), work)
    gallery = build_gallery(work, ["cleo"], "toy", "shuffled", max_crops=40, seed=0)
    _, text = load_projections(work.features / "toy/shuffled/projection.safetensors")
    own = [ref for ref in slices if ref.crop.case == "cleo-image"]
    expected = text(ToyTowers().embed_texts([text_of(ref) for ref in own]).astype(np.float16))
    assert torch.allclose(gallery.features[1].flatten(0, 2), expected, atol=1e-5)
    assert run_localize(LocalizeConfig(), work).arms["control"]["person"] == "cleo"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"people": ("anna",)}, LeakageError, "anna-image was seen in pre-training run first"),
        ({"people": ("clea",)}, ConfigError, "person clea is not in the workspace"),
        ({"arms": {"ours": ("third",)}}, WorkspaceError, "pretraining/third is not complete"),
        ({"arms": {"ours": ("first",)}, "controls": {"hours": ("second",)}}, ConfigError, "there is no arm hours"),
    ],
)
def test_people_and_runs_that_cannot_be_asked_are_refused(
    work: Workspace, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run_localize(LocalizeConfig(**changes), work)
    assert not (work.evaluation / "localization.json").exists()


def test_the_voxels_of_a_seen_person_under_another_name_are_refused(work: Workspace) -> None:
    facts = json.loads((work.pretraining / "first/encoder.json").read_text())
    cleo = next(case for case in VoxelStore(work.prepared).cases.values() if case.subject == "cleo")
    facts["voxel_sha256"].append(cleo.voxel_sha256)
    (work.pretraining / "first/encoder.json").write_text(json.dumps(facts))
    with pytest.raises(LeakageError, match="cleo-image was seen in pre-training run first"):
        run_localize(LocalizeConfig(), work)


def test_a_run_from_weights_that_do_not_tell_whom_they_have_seen_is_asked_with_a_warning(work: Workspace) -> None:
    path = work.pretraining / "first" / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seen": "unknown"}))
    with pytest.warns(UnknownPeopleWarning, match="that first started from"):
        arms = run_localize(LocalizeConfig(arms={"first": ("first",), "second": ("second",)}, device="cpu"), work).arms
    assert arms["first"]["seen"] == "unknown"
    assert "seen" not in arms["second"]


def test_with_nobody_unseen_or_no_run_there_is_nothing_to_ask(toy: Toy) -> None:
    work = toy.ready("anna", "bert")
    with pytest.raises(ConfigError, match="no pre-training run with a PSAT to ask"):
        run_localize(LocalizeConfig(), work)
    pretrain(pretrain_config(steps=1), work)
    with pytest.raises(ConfigError, match="every person was seen in pre-training"):
        run_localize(LocalizeConfig(), work)


def test_a_gallery_needs_something_to_see_and_somebody_else(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no other person"):
        gallery_of(work, ["anna", "bert", "cleo"])
    monkeypatch.setattr("med3dinsight.slices.emptiness.is_empty", lambda voxels, ref: True)
    with pytest.raises(InputError, match="nothing is to be seen in the crops of cleo"):
        gallery_of(work)


def test_a_run_whose_features_were_made_anew_is_refused(work: Workspace, toy_towers: ToyTowers) -> None:
    """Its answers lie in the space of the earlier projections; the error would be that of chance."""
    from med3dinsight.features.config import EmbedConfig
    from med3dinsight.features.run import run as embed

    embed(EmbedConfig(towers="toy", width=8), work)
    with pytest.raises(WorkspaceError, match="pretraining/first was made from features/toy/tissue as it was before"):
        run_localize(LocalizeConfig(), work)


def test_the_model_is_the_one_that_was_trained(work: Workspace) -> None:
    model, facts = load_aligned(work.pretraining / "first")
    assert isinstance(model, AlignedEncoder)
    assert (facts["towers"], facts["captioner"], facts["seed"]) == ("toy", "tissue", 0)


def test_a_scan_that_a_run_has_seen_under_another_name_is_refused(work: Workspace) -> None:
    cleo = next(row for row in read_manifest(work.prepared) if row.subject == "cleo")
    path = work.pretraining / "second" / "encoder.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "content_sha256": [cleo.content_sha256[:16]]}))
    with pytest.raises(LeakageError, match="cleo-image was seen in pre-training run second: its voxels"):
        run_localize(LocalizeConfig(people=("cleo",), device="cpu"), work)
