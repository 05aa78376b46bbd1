"""CHAOS, CT: livers of healthy donors as DICOM series with one PNG mask a slice.

``Train_Sets/CT/ID/DICOM_anon/*.dcm`` and ``Ground/liver_GT_NNN.png`` (20 people), ``Test_Sets/CT/ID/DICOM_anon``
(20, masks kept back). Masks are in the order of the slices' file names, which is not always the order along the
body: the reader of PNG masks sees to it. The folder ``MR`` beside ``CT`` is not read.
"""

from __future__ import annotations

from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

CLASSES = ((1, "liver"),)
TRAIN = [str(number) for number in (1, 2, 5, 6, 8, 10, 14, 16, 18, 19, *range(21, 31))]
_TITLE = "CHAOS (CT)"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the series of CHAOS CT, each with the folder of its masks."""
    pattern = compile_subject_pattern(subject_pattern)
    series, doubles = _folders(directory, r"(?P<key>\d+)/DICOM_anon/[^/]+\.dcm")
    masks, more = _folders(directory, r"(?P<key>\d+)/Ground/[^/]+\.png")
    if not series and not masks:
        raise tree.nothing_found(directory, _TITLE, "Train_Sets/CT/1/DICOM_anon/i0000,0000b.dcm")
    scans, problems = pairing.pair(series, masks, lambda key: "Test_Sets" not in series[key].parts)
    sources = [
        Source(
            id=f"chaos_ct_{key}",
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, f"chaos_ct_{key}"),
            image=str(image),
            label=None if label is None else str(label),
            label_names=CLASSES if label is not None else (),
            modality="ct",
            split="test" if "Test_Sets" in image.parts else "train",
        )
        for key, image, label in sorted(scans, key=lambda scan: int(scan[0]))
    ]
    return sources, doubles + more + problems


def _folders(directory: Path, pattern: str) -> tuple[dict[str, Path], list[LeftOut]]:
    """Returns the folder of each person's files, and the folders of a person who is there twice."""
    folders = {path.parent: match for match, path in tree.files(directory, pattern)}
    return pairing.by_key([(match, folder) for folder, match in folders.items()], lambda match: match["key"])


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells how many of the 20 training people are missing, and where a series and its masks differ in number."""
    train = [source for source in sources if source.split == "train"]
    known = {f"chaos_ct_{number}" for number in TRAIN}
    rows = published.short_of(directory, "people of Train_Sets/CT", len({s.id for s in train} & known), len(TRAIN))
    rows += published.unknown(directory, "people of Train_Sets/CT", (source.id for source in train), known)
    for source in train:
        slices = len(list(Path(source.image).glob("*.dcm")))
        masks = len(list(Path(source.label or source.image).glob("*.png")))
        if slices != masks:
            rows.append(LeftOut(str(source.label), f"{masks} masks for {slices} slices", "download this person again"))
    return rows


LAYOUT = Layout(
    description="CHAOS CT: Train_Sets/CT/1/DICOM_anon/*.dcm with Ground/*.png, Test_Sets",
    find=find,
    recognises=lambda directory: tree.shows(directory, r"/\d+/(DICOM_anon|Ground)/$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="CT, portal venous phase",
        licence="CC BY-NC-SA 4.0",
        citation="Kavur et al., CHAOS Challenge - combined (CT-MR) healthy abdominal organ segmentation, Medical Image "
        "Analysis 69, 2021, doi:10.1016/j.media.2020.101950; data: doi:10.5281/zenodo.3362844",
        url="https://chaos.grand-challenge.org/",
        third_parties="unknown",
        gated=False,
        classes=CLASSES,
        note="The CT and the MR part are numbered each for itself; whether they share people could not be confirmed.",
    ),
)
