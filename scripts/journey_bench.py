"""Measure the warm journey: the seconds of each part, and its share of the whole.

    python -m scripts.journey_bench [--runs 3] [--state DIR]      (make bench)

The first run is not counted: it makes the tiny model and fills the catalog. `--runs` counted runs
follow. The table shows medians. A share is the part's median divided by the whole's; on a machine
with other work, shares are more stable than seconds.
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
    """Run the journey, measure it, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.journey_bench", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--runs", type=int, default=3, help="counted runs (default 3)")
    parser.add_argument("--state", type=Path, help="state folder (default: a temporary one)")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs: expected at least 1")
    with tempfile.TemporaryDirectory() as temporary:
        state = (arguments.state or Path(temporary) / "state").resolve()
        journey(state)
        runs = [journey(state) for _ in range(arguments.runs)]
    print(table(runs))
    return 0


def journey(state: Path) -> dict[str, float]:
    """Run the journey once; return the seconds of its parts.

    The pipeline's steps, whose names are indented, are parts of the execution.
    """
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


def table(runs: list[dict[str, float]]) -> str:
    """Return one line for each part: median, share of the whole, least and most seconds."""
    whole = statistics.median(run["whole"] for run in runs)
    lines = []
    for part in runs[0]:
        seconds = [run[part] for run in runs]
        median, least, most = statistics.median(seconds), min(seconds), max(seconds)
        lines.append(
            f"{part:<24} {median:7.1f} s  {median / whole:6.1%}   ({least:.1f} … {most:.1f})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
