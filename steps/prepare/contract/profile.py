"""The profile of a run: its numbers and distributions, which the next run is compared with.

    profile = of(survey, train_and_eval, words)
    Profile.parse(profile.text()) == profile

The curated commit has it in its metadata as `profile`, canonical JSON of about a kilobyte without
any text. Two distributions are compared by their total variation: half of the sum of the absolute
differences of their shares, 0 (equal) to 1 (disjoint).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from steps.governance.documents import canonical
from steps.governance.documents.manifest import PreparedCounts
from steps.prepare.filings import decision, examination, examples
from steps.prepare.filings.measures import BODY, HEADING, WITHOUT_SIC, Measured
from steps.prepare.filings.quality.thresholds import INJECTION

_INVALID = (examination.INVALID, examination.NOT_UTF8)
_REPEATS = (
    examples.DUPLICATE_EXAMPLE,
    decision.NEAR_DUPLICATE,
    decision.FAMILY_IN_TRAIN,
    decision.ANSWER_IN_TRAIN,
)
_DIGITS = 6


@dataclass(frozen=True)
class Profile:
    """Shares are 0 … 1 and lengths mean characters, all to six digits.

    `rejected` and `invalid` are of the filings; `repeats`, `dropped` (for other reasons) and
    `injections` of all risk factors; the rest of the kept examples. `years` counts examples,
    `words` the words of usable filings in 64 groups (`steps.prepare.filings.vocabulary`).
    """

    rows: int
    rejected: float
    invalid: float
    repeats: float
    dropped: float
    injections: float
    scrubbed: float
    eval: float
    without_sic: float
    heading: float
    body: float
    years: dict[str, int]
    words: list[int]
    filings: int = 0  # that were read; 0 is unknown

    @property
    def factors(self) -> float:
        """The number of risk factors; 0 is unknown."""
        kept = 1 - self.repeats - self.dropped
        return self.rows / kept if self.filings and kept > 0 else 0.0

    def text(self) -> str:
        """Return it as canonical JSON."""
        return canonical.dumps(asdict(self)).decode()

    @classmethod
    def parse(cls, text: object) -> "Profile | None":
        """Return the profile of a commit's metadata; None if it has other fields.

        Earlier builds did not count `filings`.
        """
        try:
            found: Any = json.loads(str(text))
            wanted = {field.name for field in fields(cls)}
            known = isinstance(found, dict) and found.keys() | {"filings"} == wanted
            return cls(**found) if known else None
        except ValueError:
            return None


def of(counts: PreparedCounts, measured: Measured, words: list[int]) -> Profile:
    """Return the profile of what a run is about to commit."""
    rows = counts.examples_train + counts.examples_eval
    reasons, factors = counts.rejected_by_reason, rows + counts.examples_rejected
    repeated = sum(reasons.get(name, 0) for name in _REPEATS)
    sums = measured.sums
    return Profile(
        rows=rows,
        rejected=_share(counts.filings_rejected, counts.filings_read),
        invalid=_share(sum(reasons.get(name, 0) for name in _INVALID), counts.filings_read),
        repeats=_share(repeated, factors),
        dropped=_share(counts.examples_rejected - repeated, factors),
        injections=_share(reasons.get(INJECTION, 0), factors),
        scrubbed=_share(sum(measured.scrubbed.values()), rows),
        eval=_share(counts.examples_eval, rows),
        without_sic=_share(sums[WITHOUT_SIC], rows),
        heading=_share(sums[HEADING], rows),
        body=_share(sums[BODY], rows),
        years={str(year): number for year, number in sorted(measured.years.items())},
        words=words,
        filings=counts.filings_read,
    )


def distance(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return the total variation between two distributions given by their counts."""
    totals = sum(one.values()) or 1, sum(other.values()) or 1
    names = one.keys() | other.keys()
    differences = (
        abs(one.get(name, 0) / totals[0] - other.get(name, 0) / totals[1]) for name in names
    )
    return round(sum(sorted(differences)) / 2, _DIGITS)


def _share(part: int, whole: int) -> float:
    return round(part / whole, _DIGITS) if whole else 0.0
