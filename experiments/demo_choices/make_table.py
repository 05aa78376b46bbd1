"""Prints the mean over people of every candidate setting and writes expected.csv."""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

KEYS = ("mean_mm", "wrong_volume_mm", "crop_recall_at_1")


def main(paths: list[Path]) -> None:
    """Joins ``choices.jsonl`` of one or more workspaces."""
    rows = [json.loads(line) for path in paths for line in (path / "choices.jsonl").read_text().splitlines()]
    with (Path(__file__).parent / "expected.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, ["projection", "steps", "person", *KEYS], lineterminator="\n")
        writer.writeheader()
        for row in sorted(rows, key=lambda row: (row["projection"], row["steps"], row["person"])):
            writer.writerow({**row, **{key: round(row[key], 3) for key in KEYS}})
    groups = defaultdict(list)
    for row in rows:
        groups[row["projection"], row["steps"]].append(row)
    print("| projection | steps | people | error mm | wrong volume mm | crop R@1 |\n|---|---|---|---|---|---|")
    for (projection, steps), members in sorted(groups.items()):
        means = [sum(row[key] for row in members) / len(members) for key in KEYS]
        print(f"| {projection} | {steps} | {len(members)} | {means[0]:.1f} | {means[1]:.1f} | {means[2]:.3f} |")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
