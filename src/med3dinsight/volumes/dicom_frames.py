"""The planes of an enhanced multi-frame file: what is shared by all frames, and what each frame says itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from .dicom_planes import Facts, make_plane
from .dicom_records import Plane

#: Keys of stacks, by the functional group and the element that say them in an enhanced file.
_KEYS = {
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "NominalPercentageOfCardiacPhase": ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
}


def frame_planes(path: Path, data: Facts, frames: int) -> tuple[Plane, ...]:
    """Returns one plane a frame, in the order of the file.

    Raises:
        InputError: The file describes another number of frames than it declares, or a frame's place is missing;
            the message goes after the file's name.
    """
    each = data["PerFrameFunctionalGroupsSequence"]
    if len(each) != frames:
        raise InputError(f"declares {frames} frames and describes {len(each)}", "")
    shared = (data.get("SharedFunctionalGroupsSequence") or [None])[0]
    return tuple(_plane(path, data, index, _Groups(item, shared)) for index, item in enumerate(each))


class _Groups:
    """The functional groups of one frame, over those that all frames share."""

    def __init__(self, own: Any, shared: Any) -> None:
        self._places = [own] if shared is None else [own, shared]

    def get(self, group: str, keyword: str) -> Any:
        for place in self._places:
            if found := place.get(group):
                return found[0].get(keyword)
        return None


def _plane(path: Path, data: Facts, index: int, groups: _Groups) -> Plane:
    keys = {name: groups.get(*where) for name, where in _KEYS.items()}
    gradient = "DiffusionGradientDirectionSequence"
    directions = groups.get("MRDiffusionSequence", gradient)
    keys["DiffusionGradientOrientation"] = directions[0].get("DiffusionGradientOrientation") if directions else None
    keys["ImageType"] = (
        groups.get("MRImageFrameTypeSequence", "FrameType")
        or groups.get("CTImageFrameTypeSequence", "FrameType")
        or data.get("ImageType")
    )
    number = groups.get("FrameContentSequence", "InStackPositionNumber")
    slope = groups.get("PixelValueTransformationSequence", "RescaleSlope")
    intercept = groups.get("PixelValueTransformationSequence", "RescaleIntercept")
    try:
        return make_plane(
            path,
            index,
            size=(int(data["Columns"]), int(data["Rows"])),
            spacing=groups.get("PixelMeasuresSequence", "PixelSpacing"),
            axes=groups.get("PlaneOrientationSequence", "ImageOrientationPatient"),
            position=groups.get("PlanePositionSequence", "ImagePositionPatient"),
            number=None if number is None else int(number),
            rescale=(
                data.get("RescaleSlope") if slope is None else slope,
                data.get("RescaleIntercept") if intercept is None else intercept,
            ),
            keys=keys,
        )
    except InputError as error:
        raise InputError(f"{error.message} (frame {index + 1})", "") from None
