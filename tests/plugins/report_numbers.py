"""Invented scores, comparisons and read-outs as evaluation writes them."""

from __future__ import annotations

from typing import Any


def class_row(values: list[float | None]) -> dict[str, Any]:
    """The scores of one class in one case: the same for every metric, one value a seed."""
    defined = [value for value in values if value is not None]
    mean = sum(defined) / len(defined) if defined else None
    by_seed = {metric: values for metric in ("dice", "hd95_mm", "nsd")}
    return {"dice": mean, "hd95_mm": mean, "nsd": mean, "voxels_truth": 5, "by_seed": by_seed}


def comparison(metric: str = "dice", ci95: tuple[float, float] = (-0.02, 0.04), **changes: Any) -> dict[str, Any]:
    """One comparison of ``scores.json``."""
    return {
        "arm": "insight",
        "against": "scratch",
        "metric": metric,
        "better": "lower" if metric == "hd95_mm" else "higher",
        "mean_difference": sum(ci95) / 2,
        "ci95": list(ci95),
        "p_value": 0.25,
        "p_adjusted": 0.5,
        "test": "sign-flip permutation, exact",
        "scope": "within subject",
        "n_subjects": 1,
        "n_seeds": 2,
        "n_cases": 1,
        **changes,
    }


def scores(test: str = "bob") -> dict[str, Any]:
    """A ``scores.json`` of two arms with two seeds."""

    def arm(init: str, values: list[float | None]) -> dict[str, Any]:
        cases = {test: {"liver": class_row(values), "lung": class_row([None, None])}}
        return {"init": init, "network": "conv_tiny", "seed": [0, 1], "cases": cases}

    return {
        "settings": {"cases": "volume"},
        "definitions": {"dice": "twice what they share by what they have", "nsd": "tolerance 3 mm"},
        "arms": {"scratch": arm("scratch", [0.5, 0.6]), "insight": arm("insight-s0", [0.5, 0.7])},
        "leakage_checks": {"insight-s0": "training and pre-training"},
        "comparisons": [comparison(), comparison("hd95_mm", (-3.0, 1.0))],
        "not_compared": [],
        "left_out": {"cases": [], "values": []},
    }


def classes() -> dict[str, Any]:
    """A ``classification.json`` of two arms."""

    def arm(init: str, low: float, high: float) -> dict[str, Any]:
        by_seed = {"accuracy": [low, high], "balanced_accuracy": [low, high], "auroc": [low, None]}
        summary = {"accuracy": (low + high) / 2, "balanced_accuracy": (low + high) / 2, "auroc": low}
        cases = {"bob": {"AD": {"probability": 0.7, "truth": 1}, "NC": {"probability": 0.3, "truth": 0}}}
        return {
            "init": init,
            "seed": [0, 1],
            "cases": cases,
            "summary": {**summary, "by_seed": by_seed, "n_cases": 12, "n_subjects": 9},
        }

    alone = {"arm": "late", "against": None, "reason": "no scratch arm of this network and classes"}
    return {
        "task": "classification",
        "definitions": {"auroc": "ties half"},
        "arms": {"scratch": arm("scratch", 0.5, 0.6), "insight": arm("insight-s0", 0.75, 0.85)},
        "leakage_checks": {"insight-classes-s0": "training and pre-training"},
        "comparisons": [comparison("auroc", (0.05, 0.45), scope="subjects", n_subjects=9, p_adjusted=0.03)],
        "not_compared": [alone],
        "left_out": {"cases": [], "values": []},
    }


def localization(person: str = "bob", error: float = 24.0, wrong: float = 50.0, recall: float = 0.25) -> dict[str, Any]:
    """One arm of ``localization.json``."""

    def part(mean: float, hits: float) -> dict[str, float]:
        return {"mean_mm": mean, "median_mm": 12.0, "crop_recall_at_1": hits, "gallery": 40.0, "slices": 1234.0}

    return {
        "person": person,
        "volume": part(error, recall),
        "wrong_volume": part(wrong, 0.02),
        "shuffled_captions": part(48.0, 0.03),
        "image_only": part(30.0, 0.2),
        "text_only": None,
        "seeds": [0],
        "by_seed": {"volume": [part(error, recall)]},
    }
