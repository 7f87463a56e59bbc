"""What the bench measures: hashing alone, a quick audit of many records, deep audits of files."""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.audit_bench import worlds
from scripts.audit_bench.command import audited
from scripts.audit_bench.front import front
from scripts.audit_bench.hashing import seconds_of_hashing, seconds_of_sha256sum, written
from tests.steps.audit.support.history import BASE
from tests.steps.register.support.register_environment import ARTIFACTS

_MOST_SECONDS, _LEAST_RATIO, _MOST_MIB = 5.0, 0.8, 300


def hashing(folder: Path, mib: int, rounds: int) -> None:
    """Print the ratio of `sha256sum`'s time to ours, for two files of this size."""
    files = [written(folder / name, mib) for name in ("a", "b")]
    ratios = [seconds_of_sha256sum(files) / seconds_of_hashing(files) for _ in range(rounds)]
    ratio = statistics.median(ratios)
    _line(f"hashing, {mib} MiB twice", f"{ratio:.2f} x sha256sum", ratio >= _LEAST_RATIO)


def quick(folder: Path, records: int, rounds: int) -> None:
    """Print the time and the memory of a quick audit of so many records."""
    folder.mkdir()
    with worlds.world(folder) as world:
        worlds.of_records(world, records)
        found = [audited(world, "--all", "--quick") for _ in range(rounds)]
    best = min(found, key=lambda each: each.seconds)
    text = f"{best.seconds:.2f} s (CPU {best.cpu:.2f} s), {best.lines} lines, {best.rss_mib} MiB"
    _line(f"quick audit, {records} records", text, best.seconds <= _MOST_SECONDS)
    _line("its memory", f"{best.rss_mib} MiB", best.rss_mib <= _MOST_MIB)


def deep(folder: Path, sizes: Sequence[int], rounds: int) -> None:
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
