"""Slice localisation in people whom pre-training never saw, beside the wrong volume and shuffled captions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..encoders.seen import UNKNOWN, seen_in, warn_where_unknown
from ..errors import ConfigError, LeakageError, suggest
from ..readouts.gallery import Gallery, answer, build_gallery
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.files import read_json, write_json
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import read_manifest
from .readout_config import LocalizeConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..alignment.aligned_encoder import AlignedEncoder

STAGE_VERSION = 2
Scores = dict[str, Any]


@dataclass(frozen=True)
class LocalizeResult:
    """What localisation tells: ``localization`` is the path of the JSON file, ``arms`` its content."""

    localization: str
    arms: dict[str, Scores]
    done_before: bool = False


def run_localize(config: LocalizeConfig, workspace: Workspace, *, progress: Progress = silent) -> LocalizeResult:
    """Locates slices of unseen people with every arm; writes ``evaluation/localization.json``.

    Each crop of the person is asked at every (plane, position) of the slice table; the error of the best position
    on the true plane is compared with the same question put to crops of other people (the wrong volume) and to
    runs that were pre-trained on shuffled captions.

    Args:
        config: See :class:`LocalizeConfig`.
        workspace: With finished pre-training runs.
        progress: Told the runs done.

    Raises:
        ConfigError: A person or the arm of a control is unknown, a run has no PSAT, every person was seen in
            pre-training, or there is nobody whose crops could be the wrong volume.
        InputError: Nothing is to be seen in the people's crops.
        LeakageError: A person to be located in was seen by a run.
        WorkspaceError: An earlier stage is missing or has been run anew since.
    """
    arms = config.arms or {name: (name,) for name in _finished_runs(workspace)}
    runs = sorted({run for group in (arms, config.controls) for names in group.values() for run in names})
    _check_arms(config, arms)
    records = {run: workspace.require_current(workspace.pretraining / run, f"pretrain --run {run}") for run in runs}
    if not runs:
        raise ConfigError(
            "there is no pre-training run with a PSAT to ask", "pre-train with insight, paper or extended first"
        )
    _require_psat(workspace, runs)
    folder, path = workspace.evaluation / "localization", workspace.evaluation / "localization.json"
    identity = fingerprint(
        "localize", STAGE_VERSION, config.identity(), {run: record.fingerprint for run, record in records.items()}
    )
    if (record := completed(folder, identity if path.exists() else "its output is gone")) is not None:
        return LocalizeResult(str(path), record.result["arms"], done_before=True)
    started = time.time()
    people = _unseen_people(config, workspace, runs)
    with workspace.lock("localization"):
        (folder / RECORD).unlink(missing_ok=True)
        by_run = _score_runs(config, workspace, runs, people, progress)
        rows = {
            arm: _arm_row([by_run[run] for run in names], [by_run[run] for run in config.controls.get(arm, ())], people)
            for arm, names in arms.items()
        }
        write_json(path, rows)
        result = LocalizeResult(str(path), rows)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        write_record(folder, StageRecord("localize", identity, shown, asdict(result), seconds))
    return result


def _finished_runs(workspace: Workspace) -> list[str]:
    """Returns the finished runs that have a PSAT to ask."""
    finished = sorted(path.parent for path in workspace.pretraining.glob("*/stage.json"))
    return [folder.name for folder in finished if read_json(folder / "encoder.json")["psat"] is not None]


def _require_psat(workspace: Workspace, runs: list[str]) -> None:
    for run in runs:
        facts = read_json(workspace.pretraining / run / "encoder.json")
        if facts["psat"] is None:
            raise ConfigError(
                f"run {run} ({facts['method']}) has no PSAT that could be asked where a slice lies",
                "localise runs of insight, paper or extended; `med3dinsight probe` reads any encoder",
            )


def _check_arms(config: LocalizeConfig, arms: Mapping[str, tuple[str, ...]]) -> None:
    for arm in config.controls:
        if arm not in arms:
            raise ConfigError(f"localize.controls: there is no arm {arm}", suggest(arm, arms))


def _unseen_people(config: LocalizeConfig, workspace: Workspace, runs: list[str]) -> list[str]:
    cases = read_manifest(workspace.prepared)
    facts = {run: read_json(workspace.pretraining / run / "encoder.json") for run in runs}
    seen = {subject for row in facts.values() for subject in row["subjects"]}
    people = list(config.people) or sorted({case.subject for case in cases} - seen)
    if unknown := sorted(set(people) - {case.subject for case in cases}):
        raise ConfigError(
            f"person {unknown[0]} is not in the workspace", suggest(unknown[0], [c.subject for c in cases])
        )
    if not people:
        raise ConfigError("every person was seen in pre-training", "pre-train with pretrain.held_out = [...]")
    for run, row in facts.items():
        warn_where_unknown(seen_in(row), f"that {run} started from")
    for case in cases:
        for run, row in facts.items():
            if case.subject in people and seen_in(row).has_seen(case):
                how = seen_in(row).sighting(case, cases)
                raise LeakageError(
                    f"{case.id} was seen in pre-training run {run}: {how}", "locate in people it never saw"
                )
    return people


def _score_runs(
    config: LocalizeConfig, workspace: Workspace, runs: list[str], people: list[str], progress: Progress
) -> dict[str, Scores]:
    from ..alignment.aligned_encoder import load_aligned
    from ..training.precision import choose_device, limit_threads

    limit_threads(config.threads)
    device = choose_device(config.device)
    results: dict[str, Scores] = {}
    for number, run in enumerate(runs, start=1):
        model, facts = load_aligned(workspace.pretraining / run)
        gallery = build_gallery(
            workspace, people, facts["towers"], facts["captioner"], max_crops=config.max_crops, seed=config.seed
        )
        match = config.match if facts["match"] == "both" else facts["match"]
        results[run] = {"seed": facts["seed"], **score_model(model.to(device).eval(), gallery, match, device)}
        if not seen_in(facts).known:
            results[run]["seen"] = UNKNOWN
        progress(number, len(runs), run)
    return results


def score_model(model: AlignedEncoder, gallery: Gallery, match: str, device: torch.device) -> Scores:
    """Asks the right and the wrong volumes; returns their scores, and those by image or text alone."""
    from ..readouts.localization import blind_guess, localize

    right = answer(model, gallery, gallery.crops, device)
    wrong = answer(model, gallery, gallery.wrong, device)

    def score(answers: tuple[Tensor, Tensor], match: str) -> Scores:
        return asdict(localize(answers, gallery.features, gallery.visible, gallery.places_mm, match))

    return {
        "volume": score(right, match),
        "wrong_volume": score(wrong, match),
        "blind_guess": asdict(blind_guess(gallery.visible, gallery.places_mm)),
        "image_only": score(right, "image"),
        "text_only": score(right, "text"),
    }


def _arm_row(runs: list[Scores], controls: list[Scores], people: list[str]) -> Scores:
    row: Scores = {"person": people[0] if len(people) == 1 else people}
    for part in ("volume", "wrong_volume"):
        row[part] = _mean([run[part] for run in runs])
    row["shuffled_captions"] = _mean([run["volume"] for run in controls]) if controls else None
    for part in ("blind_guess", "image_only", "text_only"):
        row[part] = _mean([run[part] for run in runs])
    if any("seen" in run for run in runs):
        row["seen"] = UNKNOWN
    row["seeds"] = [run["seed"] for run in runs]
    row["by_seed"] = {part: [run[part] for run in runs] for part in ("volume", "wrong_volume")}
    row["control_seeds"] = [run["seed"] for run in controls]
    return row


def _mean(scores: list[Scores]) -> Scores:
    return {key: _mean_value([row[key] for row in scores]) for key in scores[0]}


def _mean_value(values: list[float]) -> float:
    # Counts are the same in every run and stay whole numbers.
    return values[0] if isinstance(values[0], int) else sum(values) / len(values)
