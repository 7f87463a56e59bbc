"""Measure the deep audit's hashing against `sha256sum` on the same files, in the same minute.

    python -m scripts.audit_bench --mib 512        # two files of this size, hashed on two cores

It prints MiB/s of `sha256sum` with one process for each file, of the auditor's hashing in as many
threads, their ratio and this process's largest resident memory. Files are in the page cache, so
both measure the hashing and not the disk. Each round runs both, one after the other, since other
processes may load the machine: the ratio is the median of the rounds' own ratios.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from steps.audit.services.hashing import CHUNK_BYTES, digest

_ROUNDS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.audit_bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mib", type=int, default=512, help="MiB of each of the two files")
    mib = parser.parse_args(argv).mib
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("a", "b")]
        for file in files:
            _write(file, mib)
        rounds = [
            (_seconds_of_sha256sum(files), _seconds_of_the_auditor(files)) for _ in range(_ROUNDS)
        ]
    ratios = sorted(peer / own for peer, own in rounds)
    peer, own = (min(seconds) for seconds in zip(*rounds, strict=True))
    total = mib * len(files)
    result = {
        "sha256sum_mib_s": round(total / peer),
        "auditor_mib_s": round(total / own),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _write(file: Path, mib: int) -> None:
    block = bytes(range(256)) * 4096
    with file.open("wb") as target:
        for _ in range(mib):
            target.write(block)


def _seconds_of_sha256sum(files: Sequence[Path]) -> float:
    began = time.monotonic()
    running = [
        subprocess.Popen(["/usr/bin/sha256sum", str(file)], stdout=subprocess.DEVNULL)
        for file in files
    ]
    for process in running:
        process.wait()
    return time.monotonic() - began


def _seconds_of_the_auditor(files: Sequence[Path]) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(lambda file: digest(_chunks(file)), files))
    return time.monotonic() - began


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


if __name__ == "__main__":
    sys.exit(main())
