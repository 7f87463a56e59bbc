"""One pass over everything, before anything is written: what is kept, what is rejected and why, and a digest of the content.

The digest is of rows, not of files: per company, the sha256 over the sorted sha256 of its rows. So it is the same on
every engine, and two runs of one execution can be compared although their files may differ.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.governance import canonical
from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.manifest import PreparedCounts
from steps.prepare import split
from steps.prepare.schemas import EXAMPLES, REJECTED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Columns that are the same for all rows of a company in one execution; the digest holds them beside the rows.
_GIVEN = {"execution_id", "split"}
_FILING, _EXAMPLE = "filing", "example"


@dataclass(frozen=True)
class Group:
    """The rows of one company with one fate. `reason` None: kept. `sha256` is of the rows as their table will hold them."""

    kind: str
    cik: str | None
    reason: str | None
    rows: int
    sha256: str


@dataclass(frozen=True)
class Survey:
    """What a run is about to write."""

    groups: tuple[Group, ...]

    @property
    def companies(self) -> list[str]:
        """The companies with at least one example."""
        return sorted(group.cik or "" for group in self._of(_EXAMPLE, kept=True))

    @property
    def examples(self) -> int:
        """Rows of the curated table."""
        return sum(group.rows for group in self._of(_EXAMPLE, kept=True))

    @property
    def rejected(self) -> int:
        """Rows of the rejected table: filings and examples."""
        return sum(group.rows for group in self.groups if group.reason is not None)

    def counts(self, *, bound: str, seed: int) -> PreparedCounts:
        """The numbers of the manifest."""
        sides = Counter[str]()
        companies = Counter[str]()
        for group in self._of(_EXAMPLE, kept=True):
            side = split.split_of(group.cik or "", bound=bound, seed=seed)
            sides[side] += group.rows
            companies[side] += 1
        reasons = Counter[str]()
        for group in self.groups:
            if group.reason is not None:
                reasons[group.reason] += group.rows
        return PreparedCounts(
            filings_read=sum(group.rows for group in self.groups if group.kind == _FILING),
            filings_kept=sum(group.rows for group in self._of(_FILING, kept=True)),
            filings_rejected=sum(group.rows for group in self._of(_FILING, kept=False)),
            examples_train=sides[split.TRAIN],
            examples_eval=sides[split.EVAL],
            examples_rejected=sum(group.rows for group in self._of(_EXAMPLE, kept=False)),
            companies_train=companies[split.TRAIN],
            companies_eval=companies[split.EVAL],
            rejected_by_reason=dict(sorted(reasons.items())),
        )

    def examples_sha256(self, *, bound: str, seed: int) -> str:
        """The digest of the curated rows of this execution."""
        kept = self._of(_EXAMPLE, kept=True)
        sides = {group.cik or "": split.split_of(group.cik or "", bound=bound, seed=seed) for group in kept}
        rows = [[group.cik, sides[group.cik or ""], group.rows, group.sha256] for group in kept]
        return canonical.sha256(canonical.dumps({"rows": rows}))

    def rejected_sha256(self) -> str:
        """The digest of the rejected rows of this execution."""
        rows = [
            [group.kind, group.cik, group.reason, group.rows, group.sha256]
            for group in self.groups
            if group.reason is not None
        ]
        return canonical.sha256(canonical.dumps({"rows": rows}))

    def _of(self, kind: str, *, kept: bool) -> list[Group]:
        return [group for group in self.groups if group.kind == kind and (group.reason is None) == kept]


def survey(filings: "DataFrame", examples: "DataFrame") -> Survey:
    """Count and fingerprint the judged filings and examples, in one Spark action."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    rows = _fingerprinted(filings, _FILING, REJECTED.names).unionByName(
        _fingerprinted(examples.where(F.col("reason").isNull()), _EXAMPLE, EXAMPLES.names)
    ).unionByName(_fingerprinted(examples.where(F.col("reason").isNotNull()), _EXAMPLE, REJECTED.names))  # fmt: skip
    grouped = rows.groupBy("kind", "cik", "reason").agg(
        F.count(F.lit(1)).alias("rows"),
        F.sha2(F.array_join(F.array_sort(F.collect_list("fingerprint")), ""), 256).alias("sha256"),
    )
    groups = (Group(**row.asDict()) for row in grouped.collect())
    return Survey(tuple(sorted(groups, key=lambda group: (group.kind, group.cik or "", group.reason or ""))))


def check(found: Survey, *, rows: int | None) -> None:
    """Refuse to go on with nothing, or with other rows than the table says it holds.

    Args:
        found: what was counted.
        rows: how many rows the Delta log says were there to read; None where it does not say.

    Raises:
        GovernanceError: the raw table is empty.
        IntegrityError: filings read is not filings kept plus rejected.
    """
    judged = sum(group.rows for group in found.groups if group.kind == _FILING)
    if rows is not None and judged != rows:
        raise IntegrityError(
            "the counts do not reconcile, nothing was written",
            expected=f"every one of the {rows} filings that the Delta log counts, kept or rejected",
            got=f"{judged} filings kept or rejected",
            do="run again; if it happens again the raw table's log and files disagree",
        )
    if judged == 0:
        raise GovernanceError(
            "the raw table is empty at this version, nothing was written",
            expected="at least one filing",
            got="0 rows",
            do="load filings, or choose another RawTableVersion",
        )


def _fingerprinted(rows: "DataFrame", kind: str, columns: Iterable[str]) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return rows.select(
        F.lit(kind).alias("kind"),
        "cik",
        "reason",
        _fingerprint([F.col(name).cast("string") for name in columns if name not in _GIVEN]).alias("fingerprint"),
    )


def _fingerprint(columns: list["Column"]) -> "Column":
    """sha256 of a row; null and empty text differ."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return F.sha2(F.concat_ws("\x1f", *(F.coalesce(column, F.lit("\x00")) for column in columns)), 256)
