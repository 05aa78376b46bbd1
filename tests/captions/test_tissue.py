"""The rule-based describer says what is there, where, from the patient's point of view."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.captions.tissue import EMPTY_TEXT, MAX_WORDS, TissueDescriber
from med3dinsight.records import Case, Crop, SliceRef
from med3dinsight.slices.outline import find_outline
from med3dinsight.slices.rendering import SliceRenderer, render
from med3dinsight.slices.sampling import plan_slices
from med3dinsight.types import Plane

HU = NDArray[np.float32]
MakeCase = Callable[..., Case]
UPPER, LOWER = 45, 15  # axial slices through the lungs and below them
WHOLE = Crop("trunk", (0, -10, -15), 90)


def text_of(voxels: NDArray[np.uint8], case: Case, plane: Plane, index: int, crop: Crop = WHOLE) -> str:
    """The text of a slice, ``index`` counted in the volume."""
    ref = SliceRef(crop, plane, index - crop.origin[plane.axis])
    return TissueDescriber(max_words=100).describe(render(voxels, case, find_outline(voxels, case), ref))


@pytest.fixture
def describe(case: MakeCase) -> Callable[..., str]:
    """``describe(hu, plane, index)`` gives the text of a slice of a volume in HU."""

    def describe_slice(hu: HU, plane: Plane, index: int, crop: Crop = WHOLE) -> str:
        voxels = np.round(np.clip((hu + 1000) / 2000, 0, 1) * 255).astype(np.uint8)
        return text_of(voxels, case("trunk", voxels), plane, index, crop)

    return describe_slice


def swapped(text: str) -> str:
    """The same text with right and left exchanged; pairs that name both sides are sorted."""
    return re.sub(r"\b(right|left)\b", lambda word: {"right": "left", "left": "right"}[word.group()], text)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"(\d+) cm2", text)]


def test_a_band_that_is_thick_in_mm_is_seen_through_long_voxels_too(case: MakeCase, phantom: HU) -> None:
    hu = np.where(phantom > -900, np.float32(-90), phantom)  # a body of fat, with a layer of 36 mm of soft tissue
    hu[:, :, 24:33] = np.where(hu[:, :, 24:33] == -90, np.float32(40), hu[:, :, 24:33])
    voxels = np.round(np.clip((hu + 1000) / 2000, 0, 1) * 255).astype(np.uint8)
    even, thick = case("trunk", voxels), np.ascontiguousarray(voxels[:, :, 1::3])
    affine = np.array(even.affine)
    affine[:3, 3] += affine[:3, 2]
    affine[:3, 2] *= 3
    rows, spacing = tuple(map(tuple, affine)), (*even.spacing_mm[:2], 3 * even.spacing_mm[2])
    uneven = case("trunk", thick, affine=rows, source_affine=rows, spacing_mm=spacing)
    index = voxels.shape[1] // 2
    expected = text_of(voxels, even, Plane.CORONAL, index)
    said = text_of(thick, uneven, Plane.CORONAL, index, Crop("trunk", (0, -10, -30), 90))
    assert "soft-tissue region" in expected
    assert re.sub(r"[\d.]+", "n", said) == re.sub(r"[\d.]+", "n", expected)
    assert numbers(said)[0] == pytest.approx(numbers(expected)[0], rel=0.1)


def test_a_ct_that_is_no_hu_is_described_by_brightness(case: MakeCase, phantom: HU) -> None:
    voxels = np.round(np.clip((phantom + 1000) / 2000, 0, 1) * 255).astype(np.uint8)
    row = case("trunk", voxels, window=(0.0, 255.0), window_rule="kept 0..255")
    text = text_of(voxels, row, Plane.AXIAL, UPPER)
    assert "CT" in text and not re.search(r"air|lung|bone|vertebra|fat|HU", text, re.IGNORECASE), text
    in_hu = case("trunk", voxels, window_rule="hu")
    assert text_of(voxels, in_hu, Plane.AXIAL, UPPER) == text_of(voxels, case("trunk", voxels), Plane.AXIAL, UPPER)


def test_lungs_spine_and_plane_are_named_with_their_sizes(describe: Callable[..., str], phantom: HU) -> None:
    text = describe(phantom, Plane.AXIAL, UPPER)
    assert text.startswith("Two air-filled lungs, more of the right,")
    lung = (phantom[:, :, UPPER] > -950) & (phantom[:, :, UPPER] < -750)
    right, left = (float(half.sum()) * 0.16 for half in (lung[45:], lung[:45]))
    said = numbers(text)
    assert said[0] == pytest.approx(right, rel=0.06)
    assert said[1] == pytest.approx(left, rel=0.06)
    assert re.search(r"Vertebra of 1[0-3] cm2 in the midline at the back\.", text)
    assert text.endswith("Axial CT in the upper third of the scan.")


def test_a_gas_pocket_is_no_lung(describe: Callable[..., str], phantom: HU) -> None:
    text = describe(phantom, Plane.AXIAL, LOWER)
    assert text.startswith("One large gas pocket of 13 cm2 at the left front.")
    assert "lung" not in text


@pytest.mark.parametrize("index", [UPPER, LOWER])
def test_a_patient_mirrored_right_to_left_gets_the_sides_swapped(
    describe: Callable[..., str], phantom: HU, index: int
) -> None:
    """Words about one side only; sums of both sides name the right first."""
    text, mirrored = (describe(hu, Plane.AXIAL, index) for hu in (phantom, phantom[::-1]))
    if index == LOWER:
        assert "left front" in text
        assert mirrored == swapped(text)
    else:
        assert "more of the left" in mirrored
        assert numbers(mirrored)[:2] == numbers(text)[1::-1]


def test_a_sagittal_slice_of_a_mirrored_patient_lies_on_the_other_side(
    describe: Callable[..., str], phantom: HU
) -> None:
    text = describe(phantom, Plane.SAGITTAL, 62)
    assert "lung" in text
    assert text.endswith("Sagittal CT through the right half of the body.")
    assert describe(phantom[::-1], Plane.SAGITTAL, 89 - 62) == swapped(text)


def test_a_patient_lying_the_other_way_up_swaps_front_and_back(describe: Callable[..., str], phantom: HU) -> None:
    text = describe(phantom[:, ::-1], Plane.AXIAL, LOWER)
    assert "gas pocket of 13 cm2 at the left back" in text
    assert "Vertebra" not in text, "a bone at the front is no vertebra"


def test_upside_down_swaps_upper_and_lower(describe: Callable[..., str], phantom: HU) -> None:
    text, turned = (describe(hu, Plane.SAGITTAL, 62) for hu in (phantom, phantom[:, :, ::-1]))
    assert re.search(r"lung of \d+ cm2, 12 cm tall, in the upper middle", text)
    assert re.search(r"lung of \d+ cm2, 12 cm tall, in the lower middle", turned)


def test_the_sides_come_from_the_affine_of_the_file(tmp_path: Path, phantom: HU) -> None:
    """The same patient stored as RAS+ and as LPI gets the same texts through preparing."""
    from med3dinsight.preparing.config import PrepareConfig
    from med3dinsight.preparing.run import run as prepare
    from med3dinsight.volumes.nifti import write_nifti
    from med3dinsight.workspace import Workspace
    from med3dinsight.workspace.voxel_store import VoxelStore

    scans = tmp_path / "scans"
    scans.mkdir()
    whole = phantom.astype(np.int16)
    write_nifti(scans / "straight.nii.gz", whole, np.diag([4.0, 4.0, 4.0, 1.0]))
    turned = np.diag([-4.0, -4.0, -4.0, 1.0])
    turned[:3, 3] = [4.0 * (length - 1) for length in whole.shape]
    write_nifti(scans / "turned.nii.gz", np.ascontiguousarray(whole[::-1, ::-1, ::-1]), turned)
    workspace = Workspace(tmp_path / "work", create=True)
    prepare(PrepareConfig(source=str(scans), protocol="native", spacing_mm=4.0, modality="ct"), workspace)
    store = VoxelStore(workspace.prepared)
    renderer, describer = SliceRenderer(store), TissueDescriber()
    straight, turned_texts = (
        [describer.describe(renderer.view(SliceRef(Crop(name, WHOLE.origin, 90), plane, 60))) for plane in Plane]
        for name in sorted(store.cases)
    )
    assert "more of the right" in straight[0]
    assert turned_texts == straight


def test_a_lung_cut_open_by_the_crop_is_still_a_lung_of_its_side(describe: Callable[..., str], phantom: HU) -> None:
    crop = Crop("trunk", (58, 30, 35), 16)  # inside the right lung
    assert describe(phantom, Plane.AXIAL, UPPER, crop).startswith("Mid-sized air-filled right lung of 41 cm2")


@pytest.mark.parametrize("plane", Plane)
def test_the_place_of_the_crop_does_not_move_the_slice(describe: Callable[..., str], phantom: HU, plane: Plane) -> None:
    ends = {
        describe(phantom, plane, 40, Crop("trunk", origin, 40)).split(". ")[-1]
        for origin in [(10, 10, 5), (35, 25, 12), (20, 4, 19)]
    }
    assert len(ends) == 1


def test_fat_under_the_skin_is_measured(describe: Callable[..., str], phantom: HU) -> None:
    assert "16 mm of fat under the skin" in describe(phantom, Plane.AXIAL, LOWER)
    without = np.where((phantom < -70) & (phantom > -130), np.float32(50), phantom)
    assert "hardly any fat under the skin" in describe(without, Plane.AXIAL, LOWER).lower()


def test_fat_is_measured_below_a_skin_of_some_pixels_but_not_below_muscle(describe: Callable[..., str]) -> None:
    body = np.full((90, 70, 60), -1000, dtype=np.float32)
    body[10:80, 10:60] = 40
    body[12:78, 12:58] = -100
    body[20:70, 20:50] = 40
    thickness = re.search(r"(\d+) mm of fat under the skin", describe(body, Plane.AXIAL, 30))
    assert thickness is not None
    assert 8 * 4 <= int(thickness.group(1)) <= 9 * 4
    body[10:80, 10:60] = 40
    body[18:72, 18:52] = -100
    assert "Hardly any fat under the skin" in describe(body, Plane.AXIAL, 30)


def test_even_brightness_is_contrast_medium_and_a_shell_around_marrow_is_bone(
    describe: Callable[..., str], phantom: HU
) -> None:
    filled = phantom.copy()
    filled[26:36, 36:46, :30] = phantom[26:36, 36:46, :30] * 0.2 + 380
    assert "contrast" not in describe(phantom, Plane.AXIAL, LOWER)
    text = describe(filled, Plane.AXIAL, LOWER)
    assert "Strongly contrast-bright pool of 16 cm2 on the left side." in text
    assert "Vertebra of" in text


def test_bone_cut_off_by_a_narrow_window_is_not_taken_for_contrast_medium(case: MakeCase, phantom: HU) -> None:
    solid = np.where(phantom > 120, np.float32(700), phantom)
    solid[26:36, 36:46, :30] = 700
    voxels = np.round(np.clip((solid + 160) / 400, 0, 1) * 255).astype(np.uint8)
    text = text_of(voxels, case("trunk", voxels, window=(-160.0, 240.0)), Plane.AXIAL, LOWER)
    assert "contrast" not in text
    assert "large bone" in text or "more large" in text


def test_a_slice_beside_the_body_is_called_empty(describe: Callable[..., str], phantom: HU) -> None:
    assert describe(phantom, Plane.SAGITTAL, 1) == EMPTY_TEXT
    assert describe(np.full_like(phantom, -1000), Plane.AXIAL, 20) == EMPTY_TEXT


def test_a_uniform_block_is_described_without_findings(describe: Callable[..., str]) -> None:
    block = np.full((90, 70, 60), 50, dtype=np.float32)
    text = describe(block, Plane.AXIAL, 20)
    assert "No gas and no bone." in text
    assert "Nearly symmetric." in text


def test_mr_says_where_dark_and_bright_tissue_is(case: MakeCase) -> None:
    voxels = np.zeros((60, 50, 20), dtype=np.uint8)
    voxels[5:55, 5:45] = 120
    voxels[35:50, 10:40] = 40
    voxels[10:20, 30:40] = 220
    row = case("head", voxels, modality="mr", window=(0.0, 900.0))
    crop = Crop("head", (0, 0, -20), 60)
    text = text_of(voxels, row, Plane.AXIAL, 10, crop)
    assert re.search(r"dark tissue \(22 percent\), one tall region of 7\d cm2 on the right side", text)
    assert re.search(r"bright tissue \(5 percent\), one compact region of 1[56] cm2 at the left front", text)
    mirrored = text_of(np.ascontiguousarray(voxels[::-1]), row, Plane.AXIAL, 10, crop)
    assert re.search(r"one tall region of 7\d cm2 on the left side", mirrored)
    assert re.search(r"one compact region of 1[56] cm2 at the right front", mirrored)
    assert text.endswith("Axial MR in the middle of the scan.")


def test_texts_are_short_varied_and_always_the_same(case: MakeCase, phantom: HU) -> None:
    voxels = np.round(np.clip((phantom + 1000) / 2000, 0, 1) * 255).astype(np.uint8)
    row = case("trunk", voxels)
    outline = find_outline(voxels, row)
    refs = plan_slices([row], whole=False, crop_size=40, crops_per_volume=3, positions_per_plane=8, seed=0)
    first, second = ([TissueDescriber().describe(render(voxels, row, outline, ref)) for ref in refs] for _ in range(2))
    assert first == second
    assert max(len(text.split()) for text in first) <= MAX_WORDS
    assert len(set(first)) > 0.8 * len(first)
    assert all(re.fullmatch(r"[A-Z][ -~]*\.", text) for text in first), "plain sentences"
