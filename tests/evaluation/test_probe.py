from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learned_workspace import CLASSES, Toy, copy_of, pretrain_config
from pydantic import ValidationError
from torch import Tensor, nn

from med3dinsight.encoders.encoder import EncoderOutput
from med3dinsight.encoders.seen import UnknownPeopleWarning
from med3dinsight.errors import ConfigError, InputError, LeakageError, WorkspaceError
from med3dinsight.evaluation.probe import run_probe
from med3dinsight.evaluation.readout_config import ProbeConfig
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.readouts.tissue import draw_voxels
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import read_manifest


@pytest.fixture
def work(pretrained_once: Path, tmp_path: Path) -> Workspace:
    """A copy of the workspace with the runs ``first`` and ``second``, which have not seen cleo."""
    return copy_of(pretrained_once, tmp_path)


def config(**changes: Any) -> ProbeConfig:
    small = {"classes": CLASSES, "train": ("anna",), "test": ("cleo",), "random_inits": 2, "voxels_per_class": 60}
    return ProbeConfig(**{**small, "device": "cpu", **changes})


def test_runs_stand_beside_several_random_encoders(work: Workspace) -> None:
    result = run_probe(config(), work)
    arms = json.loads((work.evaluation / "probe.json").read_text())
    assert arms == result.arms
    assert Path(result.probe) == work.evaluation / "probe.json"
    assert list(arms) == ["random conv_tiny", "first", "second"]
    baseline = arms["random conv_tiny"]
    means = [draw["mean_auc"] for draw in baseline["by_init"]]
    assert len(means) == 2
    assert baseline["mean_auc"] == pytest.approx(np.mean(means))
    assert (baseline["lowest"], baseline["highest"]) == (min(means), max(means))
    assert means[0] != means[1]
    for arm in (arms["first"], arms["second"], *baseline["by_init"]):
        assert set(arm["auc"]) == {"ball", "gap"}
        assert all(0 <= value <= 1 for value in arm["auc"].values())
        assert arm["mean_auc"] == pytest.approx(np.mean(list(arm["auc"].values())))


def test_a_run_from_weights_that_do_not_tell_whom_they_have_seen_is_read_with_a_warning(work: Workspace) -> None:
    path = work.pretraining / "first" / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seen": "unknown"}))
    with pytest.warns(UnknownPeopleWarning, match="that first started from"):
        arms = run_probe(config(random_inits=1), work).arms
    assert arms["first"]["seen"] == "unknown"
    assert "seen" not in arms["second"]


class Brightness(nn.Module):
    """An encoder whose tokens are the brightness of blocks of 2 voxels."""

    def forward(self, volume: Tensor) -> EncoderOutput:
        mean = nn.functional.avg_pool3d(volume, 2)
        return EncoderOutput(mean.flatten(2).transpose(1, 2), (mean.shape[2], mean.shape[3], mean.shape[4]))


def test_features_are_read_where_the_labels_lie(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brightness alone tells a bright ball from a dark gap in anybody, if voxels and labels are in the same place."""
    monkeypatch.setattr("med3dinsight.encoders.registry.create_encoder", lambda *args, **settings: Brightness())
    arms = run_probe(config(runs=("first",)), work).arms
    assert arms["first"]["mean_auc"] > 0.97


def test_a_second_run_finds_all_done_and_takes_no_torch(work: Workspace) -> None:
    first = run_probe(config(runs=("first",)), work)
    code = """
import json, sys
from med3dinsight.evaluation.probe import run_probe
from med3dinsight.evaluation.readout_config import ProbeConfig
from med3dinsight.workspace import Workspace
result = run_probe(ProbeConfig(**json.loads(sys.argv[2])), Workspace(sys.argv[1]))
print(json.dumps([result.__dict__, "torch" in sys.modules]))
"""
    command = [sys.executable, "-c", code, str(work.root), config(runs=("first",)).model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{**first.__dict__, "done_before": True}, False]


def test_the_same_settings_give_the_same_figures(work: Workspace) -> None:
    first = run_probe(config(runs=("first",)), work)
    shutil.rmtree(work.evaluation)
    assert run_probe(config(runs=("first",)), work).arms == first.arms
    (work.evaluation / "probe.json").unlink()
    assert run_probe(config(runs=("first",)), work) == first
    assert json.loads((work.evaluation / "probe.json").read_text()) == first.arms


def test_classes_are_drawn_evenly_and_at_places_of_their_own() -> None:
    label = np.zeros((10, 10, 10), dtype=np.uint8)
    label[:5] = 1
    label[5:, :2, :2] = 2
    places, classes = draw_voxels(label, 4, 50, np.random.default_rng(0))
    assert np.bincount(classes).tolist() == [0, 50, 20]
    assert (label[tuple(places.T)] == classes).all()
    assert len({tuple(place) for place in places}) == len(places)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"test": ("anna",), "train": ("cleo", "anna")}, LeakageError, "anna trains and tests the probe"),
        ({"test": ("bert",)}, LeakageError, "bert-image was seen in pre-training run first"),
        ({"test": ("zoe",)}, ConfigError, "zoe has no case labelled for every class"),
        ({"classes": {"ball": ("ball",), "spleen": ("spleen",)}}, ConfigError, "anna has no case labelled"),
        ({"runs": ("third",)}, WorkspaceError, "pretraining/third is not complete"),
    ],
)
def test_people_and_runs_that_cannot_be_probed_are_refused(
    work: Workspace, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run_probe(config(**changes), work)
    assert not (work.evaluation / "probe.json").exists()


def test_one_class_alone_is_no_question() -> None:
    with pytest.raises(ValidationError, match="at least 2 items"):
        config(classes={"ball": ("ball",)})


def test_copies_of_a_person_do_not_test_what_they_trained(toy: Toy) -> None:
    for name in ("anna", "copy"):
        toy.add(name, seed=4)
    work = toy.ready("bert", held_out=("anna", "copy"))
    pretrain(pretrain_config(held_out=("anna", "copy"), steps=1), work)
    with pytest.raises(LeakageError, match=r"voxels of test case copy-image .* also train the probe, as anna-image"):
        run_probe(config(test=("copy",)), work)


def test_people_without_voxels_of_the_classes_are_named_by_side(toy: Toy) -> None:
    """The table names a class that no voxel has; a case without any is passed over."""
    toy.add("anna", names={1: "ball", 2: "gap", 3: "spleen", 4: "kidney"})
    toy.add("cleo", names={1: "ball", 2: "gap", 3: "spleen", 4: "kidney"})
    work = toy.ready("bert", held_out=("anna", "cleo"))
    pretrain(pretrain_config(held_out=("anna", "cleo"), steps=1), work)
    nowhere = {"spleen": ("spleen",), "kidney": ("kidney",)}
    with pytest.raises(InputError, match="the training people show less than two of the classes"):
        run_probe(config(classes=nowhere), work)
    assert set(run_probe(config(classes={**CLASSES, **nowhere}), work).arms["insight"]["auc"]) == {"ball", "gap"}


def test_without_a_run_there_is_nothing_to_probe(toy: Toy) -> None:
    with pytest.raises(ConfigError, match="there is no pre-training run to probe"):
        run_probe(config(), toy.ready("anna", "cleo"))


def test_a_scan_that_a_run_has_seen_under_another_name_is_refused(work: Workspace) -> None:
    """Only the hash of the scan's own voxels tells: it was prepared otherwise there."""
    cleo = next(row for row in read_manifest(work.prepared) if row.subject == "cleo")
    path = work.pretraining / "second" / "encoder.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "content_sha256": [cleo.content_sha256[:16]]}))
    with pytest.raises(LeakageError, match="cleo-image was seen in pre-training run second: its voxels"):
        run_probe(config(), work)
