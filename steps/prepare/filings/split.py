"""Split the examples into train and eval: by company, by family, or by year.

    bound = eval_bound(["0000001001", …], fraction=0.1, seed=17)
    split = Split("company", bound, seed=17)
    rows.withColumn("split", split.column())          # 'train' or 'eval'

Companies are ordered by the sha256 of seed and CIK; the first `fraction` of them are in eval, at
least one and never all. A company's filings of different years repeat each other, so a split by
rows would measure how well the model memorizes. Families are split by their own hash, and the
fraction is an expectation. Held-out years are given. In these two ways a company is in both splits,
a family never.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.governance.errors import GovernanceError
from steps.prepare.bounds import BY_COMPANY, BY_FAMILY, BY_YEAR, SplitRule

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql import Column

TRAIN, EVAL = "train", "eval"
FEWEST_COMPANIES = 2  # one on each side
_DIGITS = 13  # hex digits of a fraction: 52 bits, which a float holds exactly


@dataclass(frozen=True)
class Split:
    """The decided split. Companies or families with a rank up to `bound` are in eval."""

    rule: SplitRule
    bound: str
    seed: int

    @property
    def cuts_families(self) -> bool:
        """Whether the rule alone may put a family into both splits."""
        return self.rule.by == BY_YEAR

    def column(self) -> "Column":
        """Return the split of an example with `cik`, `year` and `family_id`."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

        if self.rule.by == BY_YEAR:
            held = F.col("year") >= F.lit(self.rule.from_year)
        else:
            unit = F.col("cik" if self.rule.by == BY_COMPANY else "family_id")
            held = F.sha2(F.concat(F.lit(f"{self.seed}:"), unit), 256) <= F.lit(self.bound)
        return F.when(held, F.lit(EVAL)).otherwise(F.lit(TRAIN))

    def of(self, rows: "pl.DataFrame") -> "pl.Expr":
        """Return the same of rows that polars holds."""
        import polars as pl

        if self.rule.by == BY_YEAR:
            held = pl.col("year") >= self.rule.from_year
        else:
            unit = "cik" if self.rule.by == BY_COMPANY else "family_id"
            units = rows[unit].drop_nulls().unique()
            held = pl.col(unit).is_in([one for one in units if rank(one, self.seed) <= self.bound])
        return pl.when(held).then(pl.lit(EVAL)).otherwise(pl.lit(TRAIN))


def decided(rule: SplitRule, companies: Collection[str], *, fraction: float, seed: int) -> Split:
    """Return the split of the companies that have examples.

    With too few companies for a split by company nothing is in eval, and the job refuses them.
    """
    if rule.by == BY_FAMILY:
        return Split(rule, f"{int(fraction * 16**_DIGITS):0{_DIGITS}x}", seed)
    if rule.by == BY_YEAR or len(set(companies)) < FEWEST_COMPANIES:
        return Split(rule, "", seed)
    return Split(rule, eval_bound(companies, fraction=fraction, seed=seed), seed)


def eval_bound(companies: Collection[str], *, fraction: float, seed: int) -> str:
    """Return the rank of the last company in eval.

    Raises:
        GovernanceError: fewer than two companies; one cannot be in both splits.
    """
    ranks = sorted({rank(cik, seed) for cik in companies})
    if len(ranks) < FEWEST_COMPANIES:
        raise GovernanceError(
            "the examples cannot be split into train and eval, nothing was written",
            expected="risk factors of at least two companies, because no company may be in "
            "both splits",
            got=f"{len(ranks)} {'company' if len(ranks) == 1 else 'companies'} with usable "
            "risk factors",
            do="give a raw table with filings of more companies",
        )
    return ranks[min(max(1, int(len(ranks) * fraction)), len(ranks) - 1) - 1]


def rank(cik: str, seed: int) -> str:
    """Return a company's place in the order: 64 hex digits."""
    return hashlib.sha256(f"{seed}:{cik}".encode()).hexdigest()
