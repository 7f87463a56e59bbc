"""The numbers of all rows before anything is committed: groups, families, words, overlap.

numbers.survey                  # steps.prepare.filings.survey.Survey
numbers.families_by_size        # {"1": 201, "2": 10, "9 to 16": 1}
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from steps.prepare.filings.groups import Group
from steps.prepare.filings.survey import Survey

SIZES = (
    *((size, str(size)) for size in range(1, 5)),
    (8, "5 to 8"), (16, "9 to 16"), (2**63, "17 and more"),
)  # fmt: skip


@dataclass(frozen=True)
class Numbers:
    """Counts and digests of the final rows."""

    groups: tuple[Group, ...]
    family_sizes: dict[int, int]  # how many families have so many kept examples
    templates: dict[str, int]  # of the kept examples; empty if not counted
    words: list[int]  # of the usable filings (`steps.prepare.filings.vocabulary`)
    overlap: float  # of eval with train (`steps.prepare.repeats.overlap`)

    @cached_property  # its measures are added up once too
    def survey(self) -> Survey:
        """Return the groups in their order."""
        return Survey(tuple(sorted(self.groups, key=Group.order)))

    @property
    def families_by_size(self) -> dict[str, int]:
        """Return how many families have so many kept examples, by classes of `SIZES`."""
        found = Counter[str]()
        for size, families in self.family_sizes.items():
            found[next(name for most, name in SIZES if size <= most)] += families
        return {name: found[name] for _, name in SIZES if found[name]}
