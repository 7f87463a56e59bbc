"""How much of broken input the data contract finds, and how often it refuses good input.

    python -m scripts.prepare_bench.broken_input [--filings 120] [--clean 10]

A clean corpus is the last run. Then 12 kinds of broken input at 3 rates, and clean corpora of other
companies, go through Prepare's kernel, its decisions and the contract's default bounds. One line a
kind: for each rate the checks that are broken, or a dash. The last line counts false alarms.
"""

import argparse
from typing import Any


def main() -> int:
    """Print the table."""
    arguments = _parse()
    from scripts.prepare_bench.broken_input.kinds import print_table

    print_table(arguments.filings, arguments.clean)
    return 0


def _parse() -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.prepare_bench.broken_input",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument("--filings", type=int, default=120, help="of each corpus (default 120)")
    parser.add_argument("--clean", type=int, default=10, help="clean corpora (default 10)")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
