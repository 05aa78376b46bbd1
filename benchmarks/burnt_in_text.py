"""How often the tripwire for burnt-in text finds a name, and how often it raises a false alarm, on the sample scans.

Every scan is prepared as a cube and in native spacing. A name is drawn into every axial slice in white, in three sizes
of type, in a corner and over the body. Prints one JSON line: scans with a false alarm, names found of all, by place and
size, and seconds for the largest volume.
"""

from __future__ import annotations

import json
import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from med3dinsight.captions.privacy.tripwire import find_burnt_in
from med3dinsight.datasets import find
from med3dinsight.datasets.archives import cache_folder
from med3dinsight.datasets.sample import fetch_sample
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.item import prepare_source

SIZES = (8, 12, 24)
PLACES = {"corner": (4, 4), "over the body": (20, 50)}


def with_name(volume: NDArray[np.uint8], size: int, place: tuple[int, int]) -> NDArray[np.uint8]:
    """Draws a name into every axial slice, size in pixels."""
    picture = Image.new("L", (volume.shape[1], volume.shape[0]))
    ImageDraw.Draw(picture).text(place, "DOE^JANE 19700101", fill=255, font=ImageFont.load_default(size))
    named = volume.copy()
    named[np.asarray(picture) > 100] = 255
    return named


def main() -> None:
    """Tries all scans."""
    folder = cache_folder() / "sample"
    fetch_sample(folder)
    alarms: list[str] = []
    found = {f"{place}, {size} pixels": 0 for place in PLACES for size in SIZES}
    volumes, slowest = 0, (0, 0.0)
    for source in find(folder)[0]:
        for protocol in ("cube128", "native"):
            config = PrepareConfig.model_validate({"source": str(folder), "protocol": protocol})
            volume = prepare_source(source, config).voxels
            volumes += 1
            started = time.perf_counter()
            if find_burnt_in(volume) is not None:
                alarms.append(f"{source.id} {protocol}")
            slowest = max(slowest, (volume.size, round(time.perf_counter() - started, 3)))
            for place, where in PLACES.items():
                for size in SIZES:
                    found[f"{place}, {size} pixels"] += find_burnt_in(with_name(volume, size, where)) is not None
    row = {
        "volumes": volumes,
        "false_alarms": alarms,
        "found": sum(found.values()),
        "of": volumes * len(found),
        "by_place": found,
        "largest_voxels": slowest[0],
        "largest_seconds": slowest[1],
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
