"""MM-WHS 2017, whole hearts: ``mmwhs_ct`` and ``mmwhs_mr``.

``ct_train/ct_train_10NN_{image,label}.nii.gz`` (20 labelled), ``ct_test/ct_test_20NN_image.nii.gz`` (40, labels kept
back), and the same with ``mr``. Label maps of the test part exist encrypted only and are not read. All seven structures
are in the label maps; the Med3DInsight paper scores five of them: LV, RV, LA, RA and the ascending aorta.
"""

from __future__ import annotations

from pathlib import Path

from ...records import LeftOut, Source
from ...types import Modality
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

CLASSES = (
    (205, "left ventricle myocardium"),
    (420, "left atrium blood cavity"),
    (500, "left ventricle blood cavity"),
    (550, "right atrium blood cavity"),
    (600, "right ventricle blood cavity"),
    (820, "ascending aorta"),
    (850, "pulmonary artery"),
)
#: One MR label map holds 421 where 420 is meant.
_VALUES = {"ct": CLASSES, "mr": tuple(sorted((*CLASSES, (421, "left atrium blood cavity"))))}


def _find(modality: Modality, directory: Path, subject_pattern: str) -> tuple[list[Source], list[LeftOut]]:
    pattern = compile_subject_pattern(subject_pattern)
    key = rf"(?P<key>{modality}_(?:train|test)_\d{{4}})"
    images, problems = pairing.by_key(tree.files(directory, rf"{key}_image\.nii(?:\.gz)?"), lambda match: match["key"])
    labels, doubles = pairing.by_key(tree.files(directory, rf"{key}_label\.nii(?:\.gz)?"), lambda match: match["key"])
    if not images and not labels:
        raise tree.nothing_found(directory, _title(modality), f"{modality}_train/{modality}_train_1001_image.nii.gz")
    scans, odd = pairing.pair(images, labels, lambda key: "_train_" in key)
    sources = [
        Source(
            id=key,
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, key),
            image=str(image),
            label=None if label is None else str(label),
            label_names=_VALUES[modality] if label is not None else (),
            modality=modality,
            split="train" if "_train_" in key else "test",
        )
        for key, image, label in sorted(scans)
    ]
    return sources, problems + doubles + odd


def _oddities(modality: Modality, directory: Path, sources: list[Source]) -> list[LeftOut]:
    train = {f"{modality}_train_{number}" for number in range(1001, 1021)}
    test = {f"{modality}_test_{number}" for number in range(2001, 2041)}
    there = {source.id for source in sources}
    rows = published.short_of(directory, f"volumes of {modality}_train", len(there & train), len(train))
    if there & test:  # a download of its own
        rows += published.short_of(directory, f"volumes of {modality}_test", len(there & test), len(test))
    other = "mr" if modality == "ct" else "ct"
    if tree.shows(directory, rf"/{other}_(train|test)_\d{{4}}_image\.nii"):
        reason = f"{other.upper()} scans of MM-WHS lie here too and are not in this list"
        rows.append(LeftOut(str(directory), reason, f"prepare them with the layout mmwhs_{other}"))
    return rows + published.unknown(directory, "scans", there, train | test)


def _title(modality: Modality) -> str:
    return f"MM-WHS 2017 ({modality.upper()})"


def _layout(modality: Modality) -> Layout:
    image = rf"/{modality}_(train|test)_\d{{4}}_image\.nii(\.gz)?$"
    return Layout(
        description=f"MM-WHS 2017: {modality}_train/{modality}_train_1001_image.nii.gz and _label, {modality}_test",
        find=lambda directory, subject_pattern: _find(modality, directory, subject_pattern),
        recognises=lambda directory: tree.shows(directory, image),
        oddities=lambda directory, sources: _oddities(modality, directory, sources),
        facts=Facts(
            title=_title(modality),
            modality="CT angiography" if modality == "ct" else "MR (balanced steady-state free precession)",
            licence="terms of the MM-WHS challenge: research after registration",
            citation="Zhuang and Shen, Multi-scale patch and multi-modality atlases for whole heart segmentation of "
            "MRI, Medical Image Analysis 31, 2016, doi:10.1016/j.media.2016.02.006; Zhuang et al., Evaluation of "
            "algorithms for multi-modality whole heart segmentation, Medical Image Analysis 58, 2019, "
            "doi:10.1016/j.media.2019.101537",
            url="https://zmiclab.github.io/zxh/0/mmwhs/",
            third_parties="forbidden",
            gated=True,
            classes=_VALUES[modality],
            note="CT and MR are of different people. One MR label map holds 421 for 420; both are named alike.",
        ),
    )


CT = _layout("ct")
MR = _layout("mr")
