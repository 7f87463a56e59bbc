"""Measure what small files cost Prepare: CPU time over many files of one row and over one file.

    python -m scripts.small_files [--files 620] [--factors 30]

Both tables have the same rows; the last line is the ratio of the times. CPU time is that of the
whole process, Sail's threads included, for one whole job. A job on another table runs first and is
not counted. Each table then has `--runs` runs, alternately, and the least time of each counts,
because other work on the machine only adds time. `--factors 0` makes filings without a section:
they need hardly any text work, so most of the time is that of the files themselves.
"""

import argparse
import sys


def main() -> int:
    """Print the times of both tables."""
    arguments = _parse()
    from scripts.small_files.measuring import measured

    print(measured(arguments.files, arguments.factors, arguments.runs))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.small_files", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--files", type=int, default=620, help="rows, and files of the second table (default 620)"
    )
    parser.add_argument(
        "--factors",
        type=int,
        default=30,
        help="risk factors of each filing (default 30, about 16 kB)",
    )
    parser.add_argument("--runs", type=int, default=3, help="jobs per table (default 3)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
