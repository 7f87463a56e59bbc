"""A synthetic corpus in EDGAR-CRAWLER's form: deterministic, free of rights, with the statistics of
real filings.

    python -m pipeline.local.synthetic.corpus --filings 3000 --seed 7 > filings.jsonl  # 225 MB
    python -m pipeline.local.synthetic.corpus --filings 3000 --seed 7 --describe       # statistics

Companies are invented, and so is every sentence (`pipeline.local.synthetic`). A company files for
two to five years, and each year repeats most of the year before. About one filing in four has a
reason to be dropped.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence

from pipeline import command
from pipeline.local.setup.filings import Filings, checked
from pipeline.local.synthetic import histories
from pipeline.local.synthetic.histories import Filing

_SMALL = {"filings": 24, "seed": 3}
_SIDE_BY_SIDE = 14  # companies whose filings alternate: a small slice of the corpus holds many


def generate(filings: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield `filings` filings; a smaller number with the same seed gives the first of them."""
    return (filing.fields for filing in described(filings, seed))


def described(filings: int, seed: int) -> Iterator[Filing]:
    """Yield the same filings with the generator's own data about them."""
    first_of_each = range(0, sys.maxsize, _SIDE_BY_SIDE)
    return itertools.islice(
        itertools.chain.from_iterable(_together(seed, first) for first in first_of_each), filings
    )


def _together(seed: int, first: int) -> Iterator[Filing]:
    """The filings of a few companies in turn, as they arrive over the years: the first of each, the
    second of each, …
    """
    left = [
        histories.filings(seed=seed, number=number)
        for number in range(first, first + _SIDE_BY_SIDE)
    ]
    while left:
        going_on = []
        for company in left:
            if filing := next(company, None):
                yield filing
                going_on.append(company)
        left = going_on


def small() -> Filings:
    """Return the corpus of a first run: several companies, styles of headings and reasons to reject
    a filing.
    """
    return Filings(checked(generate(**_SMALL)), asked_for=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the corpus as JSON lines, or its statistics."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.local.synthetic.corpus",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--filings", type=int, default=3000, help="how many filings (default 3000)")
    parser.add_argument(
        "--seed", type=int, default=7, help="the same seed gives the same bytes (default 7)"
    )
    parser.add_argument(
        "--describe", action="store_true", help="print the measured shape instead of the filings"
    )
    arguments = parser.parse_args(argv)
    if arguments.describe:
        from pipeline.local.synthetic import shape

        command.output(shape.table(shape.measured(described(arguments.filings, arguments.seed))))
        return 0
    for filing in generate(arguments.filings, arguments.seed):
        sys.stdout.buffer.write(json.dumps(filing, ensure_ascii=False).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(command.ended(main))
