"""Measure the audit: 100 records quickly, large files deeply, and its hashing alone.

    python -m scripts.audit_bench                          # all three, about five minutes
    python -m scripts.audit_bench hashing --mib 512
    python -m scripts.audit_bench quick --records 100
    python -m scripts.audit_bench deep --mib 50 1600

`quick` and `deep` run the whole command, imports included, on the history of the auditor's tests:
ministack, the embedded workspace and a stub of SageMaker, with real HTTP on this machine's cores.
For `deep` the kernel sends the large files, since S3 takes no core of an auditor's machine.
Targets: 100 records in 5 s; a deep audit reads at least 0.8 times as fast as `sha256sum` reads the
same files in the same minute, with at most 300 MiB of memory for files of any size.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.audit_bench import worlds
from scripts.audit_bench.command import audited
from scripts.audit_bench.front import front
from scripts.audit_bench.hashing import seconds_of_hashing, seconds_of_sha256sum, written
from tests.steps.audit.support.history import BASE
from tests.steps.register.support.register_environment import ARTIFACTS

_KINDS = ("hashing", "quick", "deep")
_MOST_SECONDS, _LEAST_RATIO, _MOST_MIB = 5.0, 0.8, 300


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one line for each measurement."""
    given = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        folder = Path(place)
        if given.kind in ("hashing", "all"):
            _hashing(folder, given.mib[-1], given.rounds)
        if given.kind in ("quick", "all"):
            _quick(folder / "quick", given.records, given.rounds)
        if given.kind in ("deep", "all"):
            _deep(folder, given.mib, given.rounds)
    return 0


def _hashing(folder: Path, mib: int, rounds: int) -> None:
    files = [written(folder / name, mib) for name in ("a", "b")]
    ratios = [seconds_of_sha256sum(files) / seconds_of_hashing(files) for _ in range(rounds)]
    ratio = statistics.median(ratios)
    _line(f"hashing, {mib} MiB twice", f"{ratio:.2f} x sha256sum", ratio >= _LEAST_RATIO)


def _quick(folder: Path, records: int, rounds: int) -> None:
    folder.mkdir()
    with worlds.world(folder) as world:
        worlds.of_records(world, records)
        found = [audited(world, "--all", "--quick") for _ in range(rounds)]
    best = min(found, key=lambda each: each.seconds)
    text = f"{best.seconds:.2f} s (CPU {best.cpu:.2f} s), {best.lines} lines, {best.rss_mib} MiB"
    _line(f"quick audit, {records} records", text, best.seconds <= _MOST_SECONDS)
    _line("its memory", f"{best.rss_mib} MiB", best.rss_mib <= _MOST_MIB)


def _deep(folder: Path, sizes: Sequence[int], rounds: int) -> None:
    """For each size: a base model of two such files, audited, and read by `sha256sum`.

    The ratio has a target for the largest size: of small files the start of the command is most.
    """
    for mib in sizes:
        place = folder / f"deep-{mib}"
        place.mkdir()
        files = [written(place / name, mib) for name in ("a.safetensors", "b.safetensors")]
        with worlds.world(place) as world:
            worlds.of_base_model(world, {file.name: file for file in files})
            worlds.of_records(world, 1)
            url = world.environment.variables()["AWS_ENDPOINT_URL"]
            paths = {f"/{ARTIFACTS}/{BASE}/{file.name}": file for file in files}
            with front(url, paths) as address:
                without = audited(world, "--all", "--quick", AWS_ENDPOINT_URL=address).seconds
                pairs = [
                    (
                        seconds_of_sha256sum(files),
                        audited(world, "--all", "--deep", AWS_ENDPOINT_URL=address),
                    )
                    for _ in range(rounds)
                ]
        ratio = statistics.median(peer / own.seconds for peer, own in pairs)
        more = statistics.median(peer / (own.seconds - without) for peer, own in pairs)
        rss = max(own.rss_mib for _, own in pairs)
        text = f"{ratio:.2f} x sha256sum, {more:.2f} x beyond the quick audit"
        verdict = ratio >= _LEAST_RATIO if mib == max(sizes) else None
        _line(f"deep audit, {mib} MiB twice", text, verdict)
        _line("its memory", f"{rss} MiB", rss <= _MOST_MIB)


def _line(what: str, found: str, good: bool | None) -> None:
    verdict = {True: "meets the target", False: "misses the target", None: "no target"}[good]
    sys.stdout.write(f"{what:<32}{found:<52}{verdict}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.audit_bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", nargs="?", choices=(*_KINDS, "all"), default="all")
    parser.add_argument("--mib", type=int, nargs="+", default=[50, 1600], help="of each file")
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    return parser


if __name__ == "__main__":
    sys.exit(main())
