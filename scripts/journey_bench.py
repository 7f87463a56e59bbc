#!/usr/bin/env python
"""Measure the warm journey: how long each part takes, and which share of the whole that is.

    .venv/bin/python scripts/bench [--runs 3] [--state DIR]      (make bench)

One run first that is not counted (it makes the tiny model and fills the catalog), then `--runs` counted ones. Medians; the share
is the part's median over the whole's, and says more than the seconds on a machine that others use too.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="counted runs (default 3)")
    parser.add_argument("--state", type=Path, help="state folder (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        state = arguments.state or Path(temporary) / "state"
        journey(state)
        runs = [journey(state) for _ in range(arguments.runs)]
    whole = statistics.median(run["whole"] for run in runs)
    for part in runs[0]:
        seconds = [run[part] for run in runs]
        median = statistics.median(seconds)
        print(
            f"{part:<24} {median:7.1f} s  {median / whole:6.1%}   ({min(seconds):.1f} … {max(seconds):.1f})"
        )
    return 0


def journey(state: Path) -> dict[str, float]:
    """One journey's parts in seconds; the steps are parts of the execution."""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline.local", "run", "--state", str(state), "--json"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    whole = time.monotonic() - began
    document = json.loads(ended.stdout)
    steps = {f"  {step['name']}": step["seconds"] for step in document["steps"]}
    parts = document["seconds"]
    rest = whole - sum(parts.values())
    return {
        "environment": parts["environment"],
        "execution": parts["execution"],
        **steps,
        "model loaded and asked": parts["model loaded and asked"],
        "start and shutdown": rest,
        "whole": whole,
    }


if __name__ == "__main__":
    sys.exit(main())
