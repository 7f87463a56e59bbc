"""Whole numbers of each example, summed by Spark: lengths, missing codes, scrubbed personal data.

    rows.groupBy("filing_id").agg(*sums())      # one column a measure
    totals(["2021", "120", "4000", …])          # Measured of one filing

They are columns of the kernel's rows (`judge.SCHEMA`), so that no text is read again.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steps.prepare.filings.quality.personal_data import KINDS

if TYPE_CHECKING:
    from pyspark.sql import Column

# How a heading is set: run in; numbered; a short title without ("bare") or with a full stop
# ("topic"); a sentence on its line ("standing").
STYLES = {style: f"style_{style}" for style in ("standing", "run_in", "topic", "bare", "numbered")}
SCRUBBED = {kind: f"scrubbed_{kind}" for kind in KINDS}
HEADING, BODY, WITHOUT_SIC = "heading_chars", "body_chars", "without_sic"
MEASURES = (HEADING, BODY, WITHOUT_SIC, *SCRUBBED.values(), *STYLES.values())
_YEAR = "year"


@dataclass(frozen=True)
class Measured:
    """Sums over examples, and how many examples are of each year."""

    sums: Counter[str] = field(default_factory=Counter)
    years: Counter[int] = field(default_factory=Counter)

    @property
    def styles(self) -> dict[str, int]:
        """How many headings of each style there are, without the styles at 0."""
        return {style: self.sums[name] for style, name in STYLES.items() if self.sums[name]}

    @property
    def scrubbed(self) -> dict[str, int]:
        """How many items of each kind of personal data were replaced, without the kinds at 0."""
        return {kind: self.sums[name] for kind, name in SCRUBBED.items() if self.sums[name]}


def sums() -> "list[Column]":
    """Return the sum of each measure over a group's rows, and the year, which they share."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return [F.max(_YEAR).alias(_YEAR), *(F.sum(name).alias(name) for name in MEASURES)]


def texts() -> "list[Column]":
    """Return the same numbers as text, for a line that comes to the driver."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return [F.coalesce(F.col(name), F.lit(0)).cast("string") for name in (_YEAR, *MEASURES)]


def totals(lines: Iterable[tuple[int, Sequence[str]]]) -> Measured:
    """Add up the lines of filings, each with the number of the filing's examples."""
    found = Measured()
    for rows, (year, *numbers) in lines:
        found.years[int(year)] += rows
        for name, number in zip(MEASURES, numbers, strict=True):
            found.sums[name] += int(number)
    return found
