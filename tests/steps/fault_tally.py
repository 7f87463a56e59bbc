"""What became of the runs of a fault campaign, counted and printed.

tally = Tally(); tally.counts["complete"] += 1; tally.bad("hung", "503 at POST /…")
tally.report("Register, workspace")      # prints the line, and fails with every run that is wrong
"""

from collections import Counter
from dataclasses import dataclass, field

_NAMES = ("runs", "complete", "true reason", "hung", "disagreeing", "duplicates")


@dataclass
class Tally:
    """`counts` of the runs by their end; `wrong` describes each that must not be."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return " · ".join(f"{name} {self.counts[name]}" for name in _NAMES)

    def bad(self, what: str, where: str) -> None:
        """Count one run that must not be."""
        self.counts[what] += 1
        self.wrong.append(f"{what}: {where}")

    def report(self, title: str) -> None:
        """Print the tally, and fail with every run that must not be."""
        print(f"{title}: {self}", *self.wrong, sep="\n  ", flush=True)  # noqa: T201 - the result
        assert not self.wrong, "\n".join(self.wrong)
        assert self.counts["runs"] == self.counts["complete"] + self.counts["true reason"]
