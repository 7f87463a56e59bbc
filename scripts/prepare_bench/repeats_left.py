"""What Prepare leaves of repeats: near repeats in train, and what of eval train has already.

    python -m scripts.prepare_bench.repeats_left FILINGS.jsonl [--split company]

Runs the whole job on Sail over EDGAR-CRAWLER's JSON lines, then counts by brute force: every pair
of bodies, by Python's sets of five-word shingles (Jaccard similarity 0.8), without the sketches
that Prepare uses. An answer is in train if a completion of train has the same words.
"""

import argparse
import os
import re
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from steps.prepare import bounds
from steps.prepare.bounds import Bounds

SHINGLE, NEAR = 5, 0.8
_WORDS = re.compile(r"\w+")
_ANY = Bounds(most_overlap=1.0, most_rejected=1.0, most_repeats=1.0)


def words(text: str) -> list[str]:
    """Return the words in small letters."""
    return _WORDS.findall(text.casefold())


def near(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return the pairs of rows with near bodies: all of them, by an index of the shingles."""
    sets, index, found = list[set[tuple[str, ...]]](), defaultdict[Any, list[int]](list), []
    for at, row in enumerate(rows):
        body = words(row["prompt"].split("\n\n", 1)[1])
        own = {tuple(body[start : start + SHINGLE]) for start in range(len(body) - SHINGLE + 1)}
        common = Counter(other for shingle in own for other in index[shingle])
        for other, count in common.items():
            if count >= NEAR * (len(own) + len(sets[other]) - count):
                found.append((other, at))
        for shingle in own:
            index[shingle].append(at)
        sets.append(own)
    return found


def counted(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the figures, as text."""
    pairs = near(rows)
    train, held = ([row for row in rows if row["split"] == side] for side in ("train", "eval"))
    sides = [tuple(rows[at]["split"] for at in pair) for pair in pairs]
    repeats = {b for (a, b), side in zip(pairs, sides, strict=True) if side == ("train", "train")}
    across = {
        at for pair, side in zip(pairs, sides, strict=True) if len(set(side)) > 1 for at in pair
        if rows[at]["split"] == "eval"
    }  # fmt: skip
    taught = {tuple(words(row["completion"])) for row in train}
    known = sum(tuple(words(row["completion"])) in taught for row in held)
    both = {
        name: len({row[name] for row in train} & {row[name] for row in held})
        for name in ("family_id", "cik")
    }
    sizes = Counter(Counter(row["family_id"] for row in rows).values())
    return {
        "examples in train, in eval": f"{len(train)}, {len(held)}",
        "near repeats in train": f"{len(repeats)} ({len(repeats) / max(len(train), 1):.2%})",
        "eval bodies near a body of train": f"{len(across)} of {len(held)}",
        "eval answers that train has": f"{known} of {len(held)}",
        "families, companies in both splits": f"{both['family_id']}, {both['cik']}",
        "families by size": ", ".join(f"{size}: {sizes[size]}" for size in sorted(sizes)),
    }


def main() -> int:
    """Run the job and print the figures."""
    arguments = _parse()
    os.environ.setdefault("RUST_LOG", "error")
    from deltalake import DeltaTable
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    from steps.prepare.delta.delta_rs import DeltaRsStore
    from steps.prepare.job import Job
    from tests.steps.prepare.support import fakes

    server = SparkConnectServer()
    server.start()
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").create()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        catalog = fakes.FolderCatalog(root)
        rows = fakes.real_filings(arguments.filings)
        catalog.add("edgar.raw.filings", fakes.raw_table(root / "raw", rows))
        job = Job(
            fakes.arguments(root, split=bounds.SPLIT.parse(arguments.split), contract=_ANY),
            catalog,  # type: ignore[arg-type]
            DeltaRsStore(spark),
            fakes.MemoryEvidence(),  # type: ignore[arg-type]
        )
        print(f"counts {job.run().counts.model_dump_json()}")
        table = DeltaTable(str(root / "curated" / "edgar" / "curated" / "examples"))
        for name, value in counted(table.to_pyarrow_table().to_pylist()).items():
            print(f"{name:<36}{value}")
    spark.stop()
    return 0


def _parse() -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.prepare_bench.repeats_left",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument("filings", type=Path, help="EDGAR-CRAWLER's JSON lines")
    parser.add_argument("--split", default="company", help=bounds.SPLIT.expected)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
