"""Groups of decided rows, counted and hashed (`steps.prepare.verdict`)."""

from collections.abc import Iterator
from dataclasses import dataclass

KEY = ("kind", "cik", "reason", "split", "remark")  # equal for the rows of a group
SEPARATOR = "\x1f"  # in no identity: it holds a number, a slash, and an accession number or digest


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one company with one kind, one reason and one split; `reason` None means kept.

    `sha256` is the digest of the rows as their table will hold them. `remark` is the detail of an
    invalid filing; of a kept filing, the optional fields that could not be used. `filings` are
    those that kept examples are from, with digest, count and measures, as text (`members`).
    """

    kind: str
    cik: str | None
    reason: str | None
    remark: str | None
    rows: int
    sha256: str
    filings: tuple[str, ...] = ()
    split: str | None = None  # of kept examples
    styles: str = ""  # how many headings of each style, with commas between

    def order(self) -> tuple[str, ...]:
        """Return the key, by which the groups of a survey are sorted."""
        return tuple(getattr(self, name) or "" for name in KEY)

    def members(self) -> Iterator[tuple[str, str, int]]:
        """Yield of each filing with examples: its identity, the sha256 of its text, its examples.

        Only a group of kept examples has such filings.
        """
        for filing in self.filings:
            identity, sha256, rows, *_ = filing.split(SEPARATOR)
            yield identity, sha256, int(rows)

    def measured(self) -> Iterator[tuple[int, list[str]]]:
        """Yield of each filing with examples: their number, their year and measures."""
        for filing in self.filings:
            _, _, rows, *measures = filing.split(SEPARATOR)
            yield int(rows), measures
