"""How much a number differs between two samples of the same source: small runs get an allowance.

    share(0.1, 60, 60)            # a change of 0.14 of a share is within the noise of 60 filings
    years({"2020": 30, "2021": 30}, 60, 60)

A bound is the larger of conf's and the allowance, so it has the bound of conf where the runs are
large enough. A size of zero is unknown (a run of an earlier build) and allows nothing.
"""

import math
from collections.abc import Mapping

# A clean run is beyond it in 1 of 80 cases for each check, if its rows are independent.
_SPREADS = 2.5
# Of the distances of words between clean corpora, times the root of the filings: at most 0.40 at
# 20 and 0.36 at 60 filings (docs/decisions/033-contract.md).
_WORDS = 0.45


def share(before: float, rows: float, earlier_rows: float) -> float:
    """Return the change of a share that is noise, from the earlier share and both sizes."""
    return _SPREADS * math.sqrt(before * (1 - before) * _inverse(rows, earlier_rows))


def years(before: Mapping[str, int], rows: float, earlier_rows: float) -> float:
    """Return the total variation of the shares of years that is noise."""
    total = sum(before.values()) or 1
    spread = sum(math.sqrt(count / total * (1 - count / total)) for count in before.values())
    # The mean of a normal number's absolute value is 0.8 of its spread; half of their sum
    return _SPREADS * math.sqrt(2 / math.pi) * spread / 2 * math.sqrt(_inverse(rows, earlier_rows))


def words(rows: float, earlier_rows: float) -> float:
    """Return the total variation between the shares of words that is noise."""
    return _WORDS * math.sqrt(_inverse(rows, earlier_rows) / 2)


def _inverse(rows: float, earlier_rows: float) -> float:
    return 1 / rows + 1 / earlier_rows if rows and earlier_rows else 0.0
