"""Leaves one training chest out at a time and localises slices in it, for every candidate setting."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.run import run as caption
from med3dinsight.datasets.sample import fetch_sample
from med3dinsight.evaluation.localization import run_localize
from med3dinsight.evaluation.readout_config import LocalizeConfig
from med3dinsight.features.config import EmbedConfig
from med3dinsight.features.run import run as embed
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run as prepare
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.workspace import Workspace

TEST_PERSON = "chest_ct"
PEOPLE = ("contrast_ct", "lung_ct_1", "lung_ct_2")
PROJECTIONS = ("whitened", "tuned")
STEPS = (100, 200)


def main(work: Path, people: tuple[str, ...]) -> None:
    """Runs what is left of the grid; every finished cell is a line of ``choices.jsonl``."""
    workspace = Workspace(work, create=not (work / "workspace.json").exists())
    fetch_sample(work / "source")
    prepare(PrepareConfig(source=str(work / "source"), protocol="native", spacing_mm=3.0), workspace)
    caption(CaptionConfig(captioner="tissue"), workspace)
    rows = work / "choices.jsonl"
    lines = rows.read_text().splitlines() if rows.exists() else []
    done = {(row["person"], row["projection"], row["steps"]) for row in map(json.loads, lines)}
    for person in people:
        for projection in PROJECTIONS:
            for steps in STEPS:
                if (person, projection, steps) not in done:
                    row = localise(workspace, person, projection, steps)
                    with rows.open("a") as handle:
                        handle.write(json.dumps(row) + "\n")
                    print(row, flush=True)


def localise(workspace: Workspace, person: str, projection: str, steps: int) -> dict[str, object]:
    """Pre-trains without the person (and the test person) and localises slices of the person."""
    held_out = (TEST_PERSON, person)
    embed(EmbedConfig(projection=projection, held_out=held_out, threads=1), workspace)
    run = f"{person}-{projection}-{steps}"
    pretrain(PretrainConfig(run=run, held_out=held_out, steps=steps, threads=1), workspace)
    result = run_localize(LocalizeConfig(arms={run: (run,)}, people=(person,), threads=1), workspace)
    row = result.arms[run]
    return {
        "person": person,
        "projection": projection,
        "steps": steps,
        "mean_mm": row["volume"]["mean_mm"],
        "wrong_volume_mm": row["wrong_volume"]["mean_mm"],
        "crop_recall_at_1": row["volume"]["crop_recall_at_1"],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or PEOPLE)
