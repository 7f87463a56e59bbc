"""Split whole companies into train and eval, in an order that depends on the seed.

    bound = eval_bound(["0000001001", …], fraction=0.1, seed=17)
    split_of("0000001001", bound=bound, seed=17)          # 'train' or 'eval'

Companies are ordered by the sha256 of seed and CIK; the first `fraction` of them are in eval, at
least one and never all. A company's filings of different years repeat each other, so a split by
rows would measure how well the model memorizes.
"""

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from steps.governance.errors import GovernanceError

if TYPE_CHECKING:
    from pyspark.sql import Column

TRAIN, EVAL = "train", "eval"
FEWEST_COMPANIES = 2  # one on each side


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


def split_of(cik: str, *, bound: str, seed: int) -> str:
    """Return the split of a company."""
    return EVAL if rank(cik, seed) <= bound else TRAIN


def split_column(cik: "Column", *, bound: str, seed: int) -> "Column":
    """`split_of` for Spark."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    ranks = F.sha2(F.concat(F.lit(f"{seed}:"), cik), 256)
    return F.when(ranks <= F.lit(bound), F.lit(EVAL)).otherwise(F.lit(TRAIN))
