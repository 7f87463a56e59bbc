"""The table of ratios: ours, the peer, their ratio, the target, and whether it is met.

A row that could not be measured gives the reason instead of a number. Nothing is estimated here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADINGS = ("what", "ours", "peer", "ratio", "target", "met")


@dataclass(frozen=True)
class Target:
    """A bound on the ratio ours / peer. `kind` is "at least", "at most" or "within" (of 1)."""

    kind: str
    bound: float

    def met(self, ratio: float) -> bool:
        """Return whether this ratio meets the target."""
        if self.kind == "within":
            return abs(ratio - 1) <= self.bound
        return ratio >= self.bound if self.kind == "at least" else ratio <= self.bound

    def __str__(self) -> str:
        sign = {"at least": "≥", "at most": "≤", "within": "1 ±"}[self.kind]
        return f"{sign} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One line. If it has no numbers, `missing` is the reason."""

    what: str
    unit: str
    ours: float | None = None
    peer: float | None = None
    target: Target | None = None
    missing: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's. Without a peer, our number itself, which the target then bounds."""
        if self.ours is None or self.missing:
            return None
        return self.ours if self.peer is None else self.ours / self.peer

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if nothing was measured or the row has no target."""
        return None if self.ratio is None or self.target is None else self.target.met(self.ratio)

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        target = "" if self.target is None else str(self.target)
        if self.ratio is None:
            return (self.what, "", "", "", target, f"not measured here: {self.missing}")
        return (
            self.what,
            _quantity(self.ours, self.unit),
            _quantity(self.peer, self.unit),
            f"{self.ratio:.4g}"
            if self.target is None or self.target.kind != "within"
            else f"{self.ratio:.6f}",
            target,
            {True: "yes", False: "NO", None: ""}[self.met],
        )

    def record(self) -> dict[str, Any]:
        """Return the row for `--json`."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer,
            "ratio": self.ratio,
            "target": None if self.target is None else str(self.target),
            "met": self.met,
            "missing": self.missing or None,
        }


def rendered(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table that is aligned for a terminal."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS) - 1)] + [3]
    padded = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    rule = "-|-".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in [padded[0], rule, *padded[1:]]).replace(
        f"| {rule} |", f"|-{rule}-|"
    )


def write_into(page: Path, rows: Sequence[Row], about: str) -> None:
    """Replace the lines of measured rows in the page's tables, and add a line about the run.

    A row that was not measured leaves the page's line as it is.

    Raises:
        ValueError: the page has no line of a row.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    measured = [row for row in rows if row.ratio is not None]
    for row in measured:
        found = [n for n, line in enumerate(lines) if line.startswith(f"| {row.what} ")]
        if not found:
            raise ValueError(f"{page} has no line of the row {row.what!r}")
        lines[found[0]] = f"| {' | '.join(row.cells())} |"
    if measured:
        names = ", ".join(row.what for row in measured)
        lines += ["", f"Measured later ({about}): {names}."]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quantity(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "MB":
        return f"{value / 1e6:,.0f} MB" if value >= 1e7 else f"{value / 1e6:.2f} MB"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.4f} {unit}"
