"""What an audit found: one line for each check, and the exit code of all lines.

    finding = Finding("record.signature", Outcome.OK, "a key", "it", "s3://…", "a.b.c/3")
    exit_code([finding])    # 0

A check compares pairs of values (`Comparison`). It raises `Differs` where no pair describes the
fault, and `Gone` where what it needs was removed by declared retention.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_SHOWN = 200  # characters of a value in a line


class Outcome(StrEnum):
    """The result of one check. A note is information: it never changes the exit code."""

    OK = "ok"
    MISMATCH = "mismatch"
    COULD_NOT = "could-not"
    GONE = "gone"
    NOTE = "note"


# The worst outcome decides. A mismatch is worse than a check that could not run.
_EXIT_CODES = ((Outcome.MISMATCH, 1), (Outcome.COULD_NOT, 2), (Outcome.GONE, 3))


@dataclass(frozen=True)
class Finding:
    """One line: the check's code, its outcome, what was expected and found, and where.

    `subject` is what the line is about: a model version, or the ledger, bucket or model.
    """

    code: str
    outcome: Outcome
    expected: str
    found: str
    where: str
    subject: str = ""


@dataclass(frozen=True)
class Comparison:
    """Pairs of (what, expected value, found value), and where the found values are."""

    where: str
    pairs: Sequence[tuple[str, object, object]]
    summary: str = ""  # of what agrees, for a line that is ok


@dataclass(frozen=True)
class Note:
    """Information in place of a comparison, such as a fact that version 1 did not record."""

    found: str
    where: str = ""
    expected: str = ""


class Differs(Exception):
    """What was found is not what was recorded."""

    def __init__(self, expected: str, found: str, where: str) -> None:
        self.expected, self.found, self.where = expected, found, where
        super().__init__(f"expected {expected}, found {found}: {where}")


class Gone(Exception):
    """What is needed was removed after its declared retention."""

    def __init__(self, expected: str, found: str, where: str) -> None:
        self.expected, self.found, self.where = expected, found, where
        super().__init__(f"{found}: {where}")


class Blocked(Exception):
    """A check needs a document that another check reports."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"needs {code}")


def compared(code: str, comparison: Comparison) -> Finding:
    """Return the line of a comparison: ok, or a mismatch that names each differing pair."""
    differing = [pair for pair in comparison.pairs if pair[1] != pair[2]]
    if not differing:
        summary = comparison.summary or ", ".join(what for what, _, _ in comparison.pairs)
        return Finding(code, Outcome.OK, shown(summary), "the same", comparison.where)
    return Finding(
        code,
        Outcome.MISMATCH,
        shown("; ".join(f"{what} {expected}" for what, expected, _ in differing)),
        shown("; ".join(f"{what} {found}" for what, _, found in differing)),
        comparison.where,
    )


def shown(value: object) -> str:
    """Return a value as one printable line of bounded length."""
    text = " ".join(str(value).split())
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0 clean, 1 mismatch, 2 could not check, 3 gone by declared retention."""
    outcomes = {finding.outcome for finding in findings}
    return next((code for outcome, code in _EXIT_CODES if outcome in outcomes), 0)
