"""Count and hash all rows before anything is committed: kept, rejected, and why.

The digest is of rows, not of files: the sha256 over the sorted sha256 of rows, per filing, then per
company. So it is the same on every engine, and two runs of one execution can be compared although
their files may differ. No task gathers the rows of a company: only those of a filing, or a 256th of
a company's rejected rows.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.governance.documents import canonical
from steps.governance.documents.manifest import PreparedCounts
from steps.governance.errors import GovernanceError, IntegrityError
from steps.prepare.filings import decision, groups, measures, split
from steps.prepare.filings.examination import INVALID, NOT_UTF8
from steps.prepare.filings.field_faults import IGNORED_SEPARATOR
from steps.prepare.filings.groups import Group
from steps.prepare.filings.judge import EXAMPLE, FILING, GIVEN, NULL, SEPARATOR
from steps.prepare.schemas import REJECTED
from steps.prepare.verdict.rounds import AT_ONCE, Rounds

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# The details of these reasons are the same for many filings and quote no filing.
_DETAILED = (INVALID, NOT_UTF8)
_FILING = ("filing_id", "raw_sha256")
_GROUP = ("kind", "cik", "reason", "split", "remark")
# Between the rounds: rows, and their filings.
_ROWS = pa.schema(
    [(name, pa.string()) for name in ("key", *_GROUP, *_FILING, "share", "print")]
    + [(name, pa.int32()) for name in ("year", *measures.MEASURES)]
)
_FILINGS = pa.schema(
    [(name, pa.string()) for name in ("key", *_GROUP, *_FILING, "prints")]
    + [("year", pa.int32()), *((name, pa.int64()) for name in ("rows", *measures.MEASURES))]
)


@dataclass(frozen=True)
class Survey:
    """Counts and digests of the rows that a run will write."""

    groups: tuple[Group, ...]

    @property
    def companies(self) -> list[str]:
        """The companies with at least one example."""
        return sorted({group.cik or "" for group in self.giving})

    @property
    def examples(self) -> int:
        """The number of rows of the curated table."""
        return sum(group.rows for group in self.giving)

    @property
    def rejected(self) -> int:
        """The number of rows of the rejected table: filings and examples."""
        return sum(group.rows for group in self.groups if group.reason is not None)

    def counts(self, unusable: Sequence[str] = ()) -> PreparedCounts:
        """Return the manifest's numbers.

        `unusable` names the columns that were left out, and why.
        """
        sides = Counter[str]()
        companies = Counter[str]()
        for group in self.giving:
            sides[group.split or ""] += group.rows
            companies[group.split or ""] += 1
        return PreparedCounts(
            filings_read=sum(group.rows for group in self.groups if group.kind == FILING),
            filings_kept=sum(group.rows for group in self._of(FILING, kept=True)),
            filings_rejected=sum(group.rows for group in self._of(FILING, kept=False)),
            examples_train=sides[split.TRAIN],
            examples_eval=sides[split.EVAL],
            examples_rejected=sum(group.rows for group in self._of(EXAMPLE, kept=False)),
            companies_train=companies[split.TRAIN],
            companies_eval=companies[split.EVAL],
            rejected_by_reason=dict(sorted(self.reasons.items())),
            ignored_fields=self.ignored_fields(unusable) or None,
            scrubbed=self.measured.scrubbed or None,
            headings_by_style=self.measured.styles or None,
            rejected_by_style=self.rejected_styles or None,
        )

    @property
    def measured(self) -> measures.Measured:
        """Lengths, years and scrubbed personal data of the kept examples."""
        return measures.totals(line for group in self.giving for line in group.measured())

    @property
    def rejected_styles(self) -> dict[str, int]:
        """How many rejected examples have a heading of each style, without the styles at 0."""
        found = Counter[str]()
        for group in self._of(EXAMPLE, kept=False):
            numbers = group.styles.split(",") if group.styles else ()
            for style, number in zip(measures.STYLES, numbers, strict=False):
                found[style] += int(number)
        return {style: found[style] for style in measures.STYLES if found[style]}

    @property
    def reasons(self) -> Counter[str]:
        """How many filings and examples were rejected for each reason."""
        found = Counter[str]()
        for group in self.groups:
            if group.reason is not None:
                found[group.reason] += group.rows
        return found

    def ignored_fields(self, unusable: Sequence[str]) -> dict[str, int]:
        """How many kept filings have an optional field that was not used, by field and fault."""
        found = Counter[str]()
        kept = self._of(FILING, kept=True)
        for group in kept:
            for fault in (
                *unusable,
                *(group.remark.split(IGNORED_SEPARATOR) if group.remark else ()),
            ):
                found[fault] += group.rows
        return dict(sorted(found.items()))

    def explained(self) -> str:
        """Return the rejected rows by reason, most frequent first, each with its main detail."""
        return ", ".join(
            f"{reason} {rows}{self._mostly(reason, rows)}"
            for reason, rows in sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
        )

    def _mostly(self, reason: str, rows: int) -> str:
        details = Counter[str]()
        for group in self.groups:
            if group.reason == reason and group.remark is not None:
                details[group.remark] += group.rows
        if not details:
            return ""
        detail, count = min(details.items(), key=lambda item: (-item[1], item[0]))
        return f": {detail}" if count == rows else f" ({count} of them: {detail})"

    @property
    def examples_sha256(self) -> str:
        """The digest of the curated rows of this execution."""
        rows = [[group.cik, group.split, group.rows, group.sha256] for group in self.giving]
        return canonical.sha256(canonical.dumps({"rows": rows}))

    def rejected_sha256(self) -> str:
        """The digest of the rejected rows of this execution."""
        rows = [
            [group.kind, group.cik, group.reason, group.rows, group.sha256]
            for group in self.groups
            if group.reason is not None
        ]
        return canonical.sha256(canonical.dumps({"rows": rows}))

    @property
    def giving(self) -> list[Group]:
        """The groups of kept examples, one for each company and split."""
        return self._of(EXAMPLE, kept=True)

    def _of(self, kind: str, *, kept: bool) -> list[Group]:
        return [
            group for group in self.groups if group.kind == kind and (group.reason is None) == kept
        ]


def survey(rows: "DataFrame", rounds: Rounds = AT_ONCE) -> Survey:
    """Count and fingerprint the final rows, by their keys.

    The rows are grouped by filing first, then by company, on the executors. Only identities,
    digests and counts come to the driver.
    """
    of_rows = rounds.by("key", [_of_rows(rows)], _ROWS, kind="survey")
    filings = rounds.by("key", map(_by_filing, of_rows), _FILINGS, kind="survey_filings")
    found = [
        Group(**row.asDict() | {"filings": tuple(sorted(row["filings"]))})
        for frame in filings
        for row in _by_company(frame).collect()
    ]
    return Survey(tuple(sorted(found, key=_order)))


def _of_rows(rows: "DataFrame") -> "DataFrame":
    """Return `_ROWS`; `key` is the same for all rows that are grouped with one."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    kept_example = decision.usable()
    remark = F.when(F.col("reason").isin(*_DETAILED), F.col("detail")).when(
        F.col("reason").isNull(), F.col("ignored")
    )
    of_kept = F.sha2(F.concat_ws(SEPARATOR, "fingerprint", "family_id"), 256)
    share = F.when(F.col("filing_id").isNull(), F.substring("print", 1, 2))
    made = rows.select(
        *("kind", "cik", "reason", "split", "year", *measures.MEASURES),
        remark.alias("remark"),
        F.when(kept_example, of_kept).otherwise(_of_rejected()).alias("print"),
        *(F.when(kept_example, F.col(name)).alias(name) for name in _FILING),
    ).withColumn("share", share)
    key = F.concat_ws("/", "cik", F.coalesce("filing_id", "share"))
    return made.withColumn("key", key).select(*_ROWS.names)


def _by_filing(rows: "DataFrame") -> "DataFrame":
    """Return `_FILINGS`: a row for each filing, or 256th of a company's rejected rows."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    grouped = rows.groupBy(*_GROUP, *_FILING, "share").agg(
        F.count(F.lit(1)).alias("rows"), _digest("print").alias("prints"), *measures.sums()
    )
    return grouped.withColumn("key", F.coalesce("cik", F.lit(""))).select(*_FILINGS.names)


def _by_company(filings: "DataFrame") -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    member = F.concat_ws(
        groups.SEPARATOR, *_FILING, F.col("rows").cast("string"), *measures.texts()
    )
    return filings.groupBy(*_GROUP).agg(
        F.sum("rows").alias("rows"),
        F.concat_ws(",", *(F.sum(name).cast("string") for name in measures.STYLES.values())).alias(
            "styles"
        ),
        _digest("prints").alias("sha256"),
        F.collect_list(F.when(F.col("filing_id").isNotNull(), member)).alias("filings"),
    )


def _digest(column: str) -> "Column":
    """sha256 of all digests of a group, in order."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return F.sha2(F.array_join(F.array_sort(F.collect_list(column)), ""), 256)


def check(found: Survey, *, rows: int | None) -> None:
    """Refuse an empty table, or another number of rows than the log has.

    Args:
        found: the counts.
        rows: the number of rows in the Delta log; None if the log lacks it.

    Raises:
        GovernanceError: the raw table is empty.
        IntegrityError: filings read is not filings kept plus rejected.
    """
    judged = sum(group.rows for group in found.groups if group.kind == FILING)
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


def _order(group: Group) -> tuple[str, ...]:
    return tuple(getattr(group, name) or "" for name in _GROUP)


def _of_rejected() -> "Column":
    """sha256 of a row as the rejected table will hold it; null and empty text differ."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    texts = [F.coalesce(F.col(name), F.lit(NULL)) for name in REJECTED.names if name not in GIVEN]
    return F.sha2(F.concat_ws(SEPARATOR, *texts), 256)
