"""Counts and digests of all rows before anything is committed: kept, rejected, and why.

found = Survey(groups)      # as `steps.prepare.verdict.counted` counts them
check(found, rows=320)
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from steps.governance.documents import canonical
from steps.governance.documents.manifest import PreparedCounts
from steps.governance.errors import GovernanceError, IntegrityError
from steps.prepare.filings import measures, split
from steps.prepare.filings.field_faults import IGNORED_SEPARATOR
from steps.prepare.filings.groups import Group
from steps.prepare.filings.judge import EXAMPLE, FILING


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

    @cached_property
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
