"""The numbers of a run, in polars: counts, families, overlap of eval with train, the contract.

figures(made, filings)      # {"counts": …, "checks": …}, as the manifest has them
"""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from scripts.prepare_bench.peers.polars_rules import Decided
from steps.governance.documents.manifest import PreparedCounts
from steps.prepare.bounds import Bounds
from steps.prepare.contract import checks, profile
from steps.prepare.filings import measures, split, vocabulary
from steps.prepare.filings.field_faults import IGNORED_SEPARATOR
from steps.prepare.verdict.numbers import SIZES

_ALLOWED = 1.0  # the check of the source's name; no row decides it


def figures(made: Decided) -> dict[str, Any]:
    """Return the manifest's counts, and what each check of a first run's contract found."""
    counted = counts(made)
    words = _words(made.filings["vocabulary"])
    own = profile.of(counted, _measured(made.kept), words)
    given = {"source": _ALLOWED, "overlap": overlap(made.kept)}
    found = checks.checked(own, None, Bounds(), given=given)
    return {
        "counts": counted.model_dump(mode="json"),
        "checks": {check.name: check.found for check in found},
    }


def counts(made: Decided) -> PreparedCounts:
    """Return the manifest's counts."""
    filings, kept = made.filings, made.kept
    dropped = made.examples.filter(pl.col("reason").is_not_null())
    of_filings = filings["reason"].drop_nulls()
    reasons = Counter([*of_filings, *dropped["reason"]])
    sides = Counter(kept["split"])
    companies = dict(kept.group_by("split").agg(pl.col("cik").n_unique()).iter_rows())
    return PreparedCounts(
        filings_read=len(filings),
        filings_kept=len(filings) - len(of_filings),
        filings_rejected=len(of_filings),
        examples_train=sides[split.TRAIN],
        examples_eval=sides[split.EVAL],
        examples_rejected=len(dropped),
        companies_train=companies.get(split.TRAIN, 0),
        companies_eval=companies.get(split.EVAL, 0),
        rejected_by_reason=dict(sorted(reasons.items())),
        ignored_fields=_ignored(filings) or None,
        scrubbed=_summed(kept, measures.SCRUBBED) or None,
        headings_by_style=_summed(kept, measures.STYLES) or None,
        rejected_by_style=_summed(dropped, measures.STYLES) or None,
        families_by_size=_by_size(kept["family_id"]),
    )


def _ignored(filings: pl.DataFrame) -> dict[str, int]:
    kept = filings.filter(pl.col("reason").is_null())["ignored"].drop_nulls()
    return dict(sorted(Counter(kept.str.split(IGNORED_SEPARATOR).explode()).items()))


def _summed(rows: pl.DataFrame, columns: dict[str, str]) -> dict[str, int]:
    sums = rows.select(columns.values()).sum().row(0, named=True)
    return {name: sums[column] for name, column in columns.items() if sums[column]}


def _by_size(families: pl.Series) -> dict[str, int]:
    found = Counter[str]()
    for size, number in families.value_counts()["count"].value_counts(name="number").iter_rows():
        found[next(name for most, name in SIZES if size <= most)] += number
    return {name: found[name] for _, name in SIZES if found[name]}


def _measured(kept: pl.DataFrame) -> measures.Measured:
    sums = kept.select(measures.MEASURES).sum().row(0, named=True)
    years = dict(kept["year"].value_counts().iter_rows())
    return measures.Measured(Counter(sums), Counter(years))


def _words(counted: pl.Series) -> list[int]:
    """Return the sums of the filings' words in groups."""
    texts = counted.drop_nulls().to_list()
    numbers = np.array(",".join(texts).split(","), np.int64).reshape(-1, vocabulary.GROUPS)
    return [int(number) for number in numbers.sum(axis=0)]


def overlap(kept: pl.DataFrame) -> float:
    """Return the share of eval's 13-word n-grams that train has too, to six digits."""
    train, asked = (
        np.unique(np.frombuffer(b"".join(grams.drop_nulls().to_list()), np.int64))
        for grams in (kept.filter(split=side)["grams"] for side in (split.TRAIN, split.EVAL))
    )
    shared = len(np.intersect1d(train, asked, assume_unique=True))
    return round(shared / max(len(asked), 1), 6)
