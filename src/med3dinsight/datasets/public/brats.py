"""BraTS, gliomas in four MR contrasts: ``BraTS2021_00000/BraTS2021_00000_{t1,t1ce,t2,flair,seg}.nii.gz`` and kin.

Years 2018 to 2021 (``Brats18_*``, ``BraTS19_*``, ``BraTS20_Training_001``, ``BraTS2021_00000``) name files with ``_``
and call the enhancing tumour 4; from 2023 on (``BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f,seg}``) it is 3. The four
contrasts of a person are four scans of one subject with one label map; the validation part has none.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

_CORE = ((1, "necrotic tumour core"), (2, "peritumoural edema"))
CLASSES = (*_CORE, (4, "enhancing tumour"))
CLASSES_FROM_2023 = (*_CORE, (3, "enhancing tumour"))
_TITLE = "BraTS (glioma)"
_YEARS = r"1[789]_[A-Za-z0-9]+_[A-Za-z0-9]+_\d+|20_[A-Za-z]+_\d+|2021_\d{5}"
_OLD = rf"(?P<old>Bra[Tt][Ss](?:{_YEARS}))_(?P<a>t1|t1ce|t2|flair|seg)"
_NEW = r"(?P<new>BraTS-[A-Z]+-\d{5}-\d{3})-(?P<b>t1n|t1c|t2w|t2f|seg)"
_NAME = rf"(?:{_OLD}|{_NEW})\.nii(?:\.gz)?"
_CONTRASTS = 4


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the contrasts of every person; later visits of a person (``-001``) keep the subject."""
    pattern = compile_subject_pattern(subject_pattern)
    found = tree.files(directory, _NAME)
    if not found:
        raise tree.nothing_found(directory, _TITLE, "BraTS2021_00000_t1.nii.gz or BraTS-GLI-00000-000-t1n.nii.gz")
    images, problems = pairing.by_key((item for item in found if _what(item[0]) != "seg"), _key)
    maps, doubles = pairing.by_key((item for item in found if _what(item[0]) == "seg"), _case)
    labels = {
        key: maps[case] for match, _ in found if (key := _key(match)) in images and (case := _case(match)) in maps
    }
    used = set(labels.values())
    orphans = {case: path for case, path in maps.items() if path not in used}
    problems += doubles + pairing.pair({}, orphans, lambda key: True)[1]
    scans, odd = pairing.pair(images, labels, lambda key: bool(re.search("Training", str(images[key].parent))))
    sources = [
        Source(
            id=key,
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, _person(key)),
            image=str(image),
            label=None if label is None else str(label),
            label_names=() if label is None else CLASSES_FROM_2023 if key.startswith("BraTS-") else CLASSES,
            modality="mr",
        )
        for key, image, label in sorted(scans)
    ]
    return sources, problems + odd


def _what(match: re.Match[str]) -> str:
    return match["a"] or match["b"]


def _case(match: re.Match[str]) -> str:
    return match["old"] or match["new"]


def _key(match: re.Match[str]) -> str:
    return f"{_case(match)}_{_what(match)}"


def _person(key: str) -> str:
    case = key.rpartition("_")[0]
    return case.rpartition("-")[0] if case.startswith("BraTS-") else case


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells which visits lack a contrast."""
    visits: dict[str, int] = {}
    for source in sources:
        case = source.id.rpartition("_")[0]
        visits[case] = visits.get(case, 0) + 1
    if not (odd := [case for case, count in visits.items() if count < _CONTRASTS]):
        return []
    reason = f"{len(odd)} without all of the {_CONTRASTS} contrasts: {published.listed(odd)}"
    return [LeftOut(str(directory), reason, "download them again")]


LAYOUT = Layout(
    description="BraTS: BraTS2021_00000/BraTS2021_00000_t1.nii.gz, _t1ce, _t2, _flair, _seg; BraTS-GLI-00000-000-t1n",
    find=find,
    recognises=lambda directory: tree.shows(directory, rf"/{_NAME}$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="MR, T1, contrast-enhanced T1, T2 and FLAIR, brain",
        licence="terms of the BraTS challenge of the year",
        citation="Baid et al., The RSNA-ASNR-MICCAI BraTS 2021 Benchmark on Brain Tumor Segmentation and Radiogenomic "
        "Classification, arXiv 2107.02314, 2021; Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark "
        "(BRATS), IEEE Transactions on Medical Imaging 34, 2015, doi:10.1109/TMI.2014.2377694",
        url="https://www.synapse.org/brats",
        third_parties="forbidden",
        gated=True,
        classes=CLASSES,
        note="Every year holds most people of the years before under new names, and msd_brain (so also 3dseg8) those "
        "of 2016 and 2017. From 2023 on the enhancing tumour is value 3, not 4.",
    ),
)
