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
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_KINDS = ("hashing", "quick", "deep")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one line for each measurement."""
    given = _parser().parse_args(argv)
    from scripts.audit_bench import measuring

    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        folder = Path(place)
        if given.kind in ("hashing", "all"):
            measuring.hashing(folder, given.mib[-1], given.rounds)
        if given.kind in ("quick", "all"):
            measuring.quick(folder / "quick", given.records, given.rounds)
        if given.kind in ("deep", "all"):
            measuring.deep(folder, given.mib, given.rounds)
    return 0


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
