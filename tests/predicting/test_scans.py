from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from learned_workspace import classification_config, copy_of, make_scan, write_labels

from med3dinsight.encoders.seen import Seen
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.finetuning.classification import ClassificationTask
from med3dinsight.finetuning.label_table import LabelTable
from med3dinsight.finetuning.loop import train
from med3dinsight.finetuning.model_folder import write_model
from med3dinsight.finetuning.people import People
from med3dinsight.networks import create_network
from med3dinsight.predicting import predict
from med3dinsight.types import silent
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace.voxel_store import VoxelStore


@pytest.fixture
def model(overfitted_once: Path) -> Path:
    """A model folder that knows a bright ball from the rest."""
    return overfitted_once / "work/finetuning/overfitted"


@pytest.fixture
def anna(overfitted_once: Path) -> Path:
    """The scan the model knows by heart."""
    return overfitted_once / "scans/anna/image.nii.gz"


def array_of(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def dice(one: np.ndarray, other: np.ndarray, value: int) -> float:
    return float(2 * ((one == value) & (other == value)).sum() / ((one == value).sum() + (other == value).sum()))


def test_a_scan_becomes_a_label_map_on_its_own_grid_with_a_table_of_names(
    model: Path, anna: Path, tmp_path: Path
) -> None:
    result = predict(model, anna, tmp_path / "out")
    assert (result.predicted, result.left_out) == (1, ())
    predicted, scan = nib.load(tmp_path / "out/image.nii.gz"), nib.load(anna)
    assert predicted.shape == scan.shape
    assert np.allclose(predicted.affine, scan.affine)
    truth = array_of(anna.with_name("label.nii.gz"))
    assert min(dice(array_of(tmp_path / "out/image.nii.gz"), truth, value) for value in (1, 2)) > 0.85
    names = json.loads((tmp_path / "out/classes.json").read_text())
    assert names == {"0": "background", "1": "ball", "2": "gap"}


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PSR", "AIL"])
def test_however_the_axes_are_stored_the_same_anatomy_is_found_in_the_same_place(
    model: Path, anna: Path, tmp_path: Path, codes: str
) -> None:
    stored = nib.load(anna)
    target = nib.orientations.axcodes2ornt(tuple(codes))
    turn = nib.orientations.ornt_transform(nib.io_orientation(stored.affine), target)
    turned = stored.as_reoriented(turn)
    assert nib.aff2axcodes(turned.affine) == tuple(codes)
    write_nifti(tmp_path / "scans/turned.nii.gz", np.asarray(turned.dataobj), turned.affine)
    predict(model, tmp_path / "scans/turned.nii.gz", tmp_path / "out")
    predict(model, anna, tmp_path / "plain")
    got, expected = nib.load(tmp_path / "out/turned.nii.gz"), nib.load(tmp_path / "plain/image.nii.gz")
    assert np.allclose(got.affine, turned.affine)
    assert np.array_equal(np.asarray(got.dataobj), np.asarray(expected.as_reoriented(turn).dataobj))


def test_a_scan_of_another_spacing_is_resampled_there_and_back(model: Path, anna: Path, tmp_path: Path) -> None:
    """Every voxel doubled along x at half the spacing: the prediction is doubled too, up to the border of objects."""
    stored = nib.load(anna)
    doubled = np.repeat(np.asarray(stored.dataobj), 2, axis=0)
    step = np.diag([0.5, 1, 1, 1])
    step[0, 3] = -0.25
    write_nifti(tmp_path / "scans/fine.nii.gz", doubled, stored.affine @ step)
    predict(model, tmp_path / "scans/fine.nii.gz", tmp_path / "out")
    truth = np.repeat(array_of(anna.with_name("label.nii.gz")), 2, axis=0)
    assert dice(array_of(tmp_path / "out/fine.nii.gz"), truth, 1) > 0.8


def test_a_folder_is_predicted_but_for_what_cannot_be_read(model: Path, anna: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(anna, scans / "good.nii.gz")
    (scans / "broken.nii.gz").write_bytes(anna.read_bytes()[:-200])
    nan, _ = make_scan(3, (20, 20, 20))
    write_nifti(scans / "nan.nii.gz", np.where(nan > 600, np.nan, nan).astype(np.float32), np.eye(4))
    told: list[tuple[int, int]] = []
    result = predict(model, scans, tmp_path / "out", progress=lambda done, total, note="": told.append((done, total)))
    assert result.predicted == 1
    assert sorted(Path(item.file).name for item in result.left_out) == ["broken.nii.gz", "nan.nii.gz"]
    assert all(item.reason and item.hint for item in result.left_out)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["classes.json", "good.nii.gz"]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_dicom_series_is_predicted(model: Path, tmp_path: Path, dicom_series: Callable[..., list[Path]]) -> None:
    hu, label = make_scan(5, (24, 22, 20))
    dicom_series(tmp_path / "series", hu, spacing=(2.0, 2.0, 2.0))
    assert predict(model, tmp_path / "series", tmp_path / "out").predicted == 1
    (written,) = (tmp_path / "out").glob("*.nii.gz")
    image = nib.load(written)
    # Columns run to the left and rows to the back in a DICOM file: here, as the series is stored.
    canonical = np.asarray(nib.as_closest_canonical(image).dataobj)
    truth = nib.as_closest_canonical(nib.Nifti1Image(label, np.diag([-2.0, -2.0, 2.0, 1.0])))
    assert dice(canonical, np.asarray(truth.dataobj), 1) > 0.6


@pytest.mark.parametrize(("channels", "written"), [(1, ["time"]), ("split", ["time-c0", "time-c1"])])
def test_channels_of_4d_files_are_taken_as_for_training(
    model: Path, anna: Path, tmp_path: Path, channels: int | str, written: list[str]
) -> None:
    stored = nib.load(anna)
    other, _ = make_scan(7, stored.shape)
    write_nifti(tmp_path / "time.nii.gz", np.stack([other, np.asarray(stored.dataobj)], axis=3), stored.affine)
    shutil.copytree(model, tmp_path / "model")
    facts = json.loads((model / "model.json").read_text())
    facts["prepare"]["channels"] = channels
    (tmp_path / "model/model.json").write_text(json.dumps(facts))
    predict(tmp_path / "model", tmp_path / "time.nii.gz", tmp_path / "out")
    predict(model, anna, tmp_path / "plain")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == [f"{name}.nii.gz" for name in written]
    expected = array_of(tmp_path / "plain/image.nii.gz")
    assert np.array_equal(array_of(tmp_path / f"out/{written[-1]}.nii.gz"), expected)


def test_nothing_that_can_be_used_is_an_error_with_the_first_reason(model: Path, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/broken.nii.gz").write_bytes(b"no scan")
    with pytest.raises(InputError, match=r"nothing was predicted; .*broken.nii.gz: "):
        predict(model, tmp_path / "scans", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_model_and_what_is_no_scan_are_refused(model: Path, anna: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no model folder"):
        predict(tmp_path, anna, tmp_path / "out")
    with pytest.raises(InputError):
        predict(model, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ConfigError, match="no device called gpu"):
        predict(model, anna, tmp_path / "out", device="gpu")


@pytest.mark.parametrize("single", [True, False])
def test_a_prediction_never_takes_the_place_of_its_scan(model: Path, anna: Path, tmp_path: Path, single: bool) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(anna, scans / "a.nii.gz")
    before = (scans / "a.nii.gz").read_bytes()
    with pytest.raises(InputError, match="would overwrite the scan") as caught:
        predict(model, scans / "a.nii.gz" if single else scans, scans)
    assert "another name" in caught.value.hint
    assert (scans / "a.nii.gz").read_bytes() == before


@pytest.fixture(scope="module")
def classifier(overfitted_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that classifies, with anna and bert known by heart, and bert tested as well as it goes."""
    root = copy_of(overfitted_once / "work", tmp_path_factory.mktemp("classifier")).root
    table = write_labels(root, {"anna": "sick", "bert": "well"})
    labels = LabelTable(("sick", "well"), {"anna-image": 0, "bert-image": 1}, {})
    store = VoxelStore(root / "prepared")
    cases = list(store.cases.values())
    config = classification_config(table, steps=40, contrast_augmentation=0.0, learning_rate=1e-3)
    task = ClassificationTask(config, store, People(cases, [], cases), labels, root, torch.device("cpu"))
    network = create_network("conv_tiny", 2, task="classification", image_size=16)
    train(network, task, config, root, "", torch.device("cpu"), silent)
    facts = {"task": "classification", "network": "conv_tiny", "num_classes": 2, "patch_size": 16}
    facts |= {"classes": [{"name": "sick"}, {"name": "well"}], "volume_input": "resize"}
    prepared = json.loads((overfitted_once / "work/finetuning/overfitted/model.json").read_text())["prepare"]
    write_model(root / "model", network, {**facts, "prepare": prepared}, Seen(frozenset({"anna", "bert"})))
    task.predict(network, lambda done: None)
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_a_classifier_writes_a_row_a_scan_with_the_probability_of_each_class(
    classifier: Path, anna: Path, overfitted_once: Path, tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    for subject in ("anna", "bert"):
        scans.mkdir(exist_ok=True)
        shutil.copy(overfitted_once / f"scans/{subject}/image.nii.gz", scans / f"{subject}.nii.gz")
    (scans / "broken.nii.gz").write_bytes(anna.read_bytes()[:-200])
    result = predict(classifier / "model", scans, tmp_path / "out/classes.csv")
    assert (result.predicted, [Path(item.file).name for item in result.left_out]) == (2, ["broken.nii.gz"])
    rows = rows_of(tmp_path / "out/classes.csv")
    assert list(rows[0]) == ["image", "probability_sick", "probability_well", "predicted"]
    assert {Path(row["image"]).stem.split(".")[0]: row["predicted"] for row in rows} == {"anna": "sick", "bert": "well"}
    for row in rows:
        assert float(row["probability_sick"]) + float(row["probability_well"]) == pytest.approx(1)
    # What the run itself said of the same scans, from its workspace.
    kept = {row["subject"]: row["probability_sick"] for row in rows_of(classifier / "predictions.csv")}
    for row in rows:
        assert float(row["probability_sick"]) == pytest.approx(float(kept[Path(row["image"]).name.split(".")[0]]))


def test_probabilities_never_take_the_place_of_a_scan_or_a_folder(
    classifier: Path, anna: Path, overfitted_once: Path, tmp_path: Path
) -> None:
    shutil.copy(anna, tmp_path / "a.nii.gz")
    before = (tmp_path / "a.nii.gz").read_bytes()
    with pytest.raises(InputError, match="would overwrite the scan"):
        predict(classifier / "model", tmp_path / "a.nii.gz", tmp_path / "a.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == before
    with pytest.raises(InputError, match="is a folder, and class probabilities go to a CSV file"):
        predict(classifier / "model", tmp_path / "a.nii.gz", tmp_path)
    with pytest.raises(InputError, match="is a file, and label maps go to a folder"):
        predict(overfitted_once / "work/finetuning/overfitted", anna, tmp_path / "a.nii.gz")
