"""The table of a fault campaign: a row for each test, printed at the end of the session.

    tally = Tally("Register, workspace, 503"); tally.add(seen, injected, "503 at POST /…")
    tally.report(record_property)        # fails with every run that must not be

`pytest_terminal_summary` prints the rows of all tests, of pytest-xdist's workers too: a test's
properties travel with its report. tests/conftest.py imports it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from tests.steps.faults.support.judge import FAULTY, End, Seen, judged
from tests.steps.faults.support.truth import Injected

_PROPERTY = "fault campaign"
_COLUMNS = ["runs", *(end.value for end in End)]


@dataclass
class Tally:
    """`counts` of the runs by their end; `wrong` describes each that must not be."""

    title: str
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, seen: Seen, injected: Sequence[Injected], where: str) -> None:
        """Judge one run and count it."""
        end, why = judged(seen, injected)
        self.counts.update(["runs", end.value])
        line = f"{end.value} · {where} · {' '.join(why.split())}"
        if end is not End.COMPLETE:
            print(line, flush=True)  # noqa: T201 - the reason, for the reader of a failure
        if end in FAULTY:
            self.wrong.append(line)

    def report(self, record_property: Callable[[str, object], None]) -> None:
        """Give the row to the table, and fail with every run that must not be."""
        row = [self.counts[column] for column in _COLUMNS]
        record_property(_PROPERTY, [self.title, *row])
        print(self.title, *zip(_COLUMNS, row, strict=True), flush=True)  # noqa: T201 - the result
        assert not self.wrong, "\n".join(self.wrong)
        assert self.counts["runs"] == sum(self.counts[end.value] for end in End) > 0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows of all tests and their sum."""
    reports = [
        report
        for found in terminalreporter.stats.values()
        for report in found
        if getattr(report, "when", "") == "call"
    ]
    rows = [
        value for report in reports for name, value in report.user_properties if name == _PROPERTY
    ]
    if not rows:
        return
    terminalreporter.section("fault campaign")
    total = ["all", *(sum(row[place] for row in rows) for place in range(1, len(_COLUMNS) + 1))]
    for line in table([["", *_COLUMNS], *rows, total]):
        terminalreporter.write_line(line)


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table whose first row is its heading."""
    widths = [max(len(str(row[place])) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            str(cell).ljust(width) if place == 0 else str(cell).rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
