"""P11: how fast the command answers, against importing torch, which it must not do to answer.

Both sides run in turn, each as a whole process. Prints one JSON line; times are medians in seconds of wall time, since
that is what somebody at a keyboard waits for. Target: --help below 0.3 s, an error below 0.4 s.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 7
HELP = [sys.executable, "-m", "med3dinsight", "--help"]
WRONG_OPTION = [sys.executable, "-m", "med3dinsight", "pretrain", "work", "--stepz", "3"]
TORCH = [sys.executable, "-c", "import torch"]


def seconds(command: list[str]) -> float:
    """Runs a command once."""
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - started


def main() -> None:
    """Times all three in turn after one warm-up."""
    times: dict[str, list[float]] = {"help": [], "wrong option": [], "import torch": []}
    for number in range(RUNS + 1):
        for name, command in zip(times, (HELP, WRONG_OPTION, TORCH), strict=True):
            took = seconds(command)
            if number:
                times[name].append(took)
    median = {name: round(statistics.median(values), 3) for name, values in times.items()}
    spread = {name: [round(min(values), 3), round(max(values), 3)] for name, values in times.items()}
    row = {
        "goal": "P11",
        "ours": median["help"],
        "peer": median["import torch"],
        "ratio": round(median["import torch"] / median["help"], 1),
        "target": "help < 0.3 s, wrong option < 0.4 s",
        "others": {},
        "wrong_option": median["wrong option"],
        "spread": spread,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
