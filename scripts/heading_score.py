"""Score the split of Item 1A into risk factors against a gold that holds digests and no text.

    python -m scripts.heading_score --filings ../shared/data/edgar_10k_items.jsonl

`tests/steps/prepare/text/gold/headings.json` has, per filing, one entry for each risk factor:
`heading` and the first and last words of its body, each as a digest, and the heading's style. A
person read the sections and chose the headings. The score compares letters and digits only, so it
does not depend on quotation marks, spaces or bullets.

* heading F1: the headings found against the headings of the gold;
* pair F1: a pair counts if its heading, its body's start and its body's end are all right.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GOLD = Path("tests/steps/prepare/text/gold/headings.json")
_EDGE = 60  # letters and digits at each end of a body
_LETTERS = re.compile(r"[^0-9a-z]+")
COLLAPSED = 0.3

Entry = Mapping[str, str]


@dataclass(frozen=True)
class Score:
    """Counts of one filing or of many: right, found, expected."""

    right: int
    found: int
    expected: int

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 1 if no heading is expected or found."""
        both = self.found + self.expected
        return 2 * self.right / both if both else 1.0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.right + other.right, self.found + other.found, self.expected + other.expected
        )


def fingerprint(heading: str, body: str) -> dict[str, str]:
    """Return the digests of a heading and of the start and the end of its body, and its style."""
    letters = _LETTERS.sub("", body.lower())
    return {
        "heading": digest(_LETTERS.sub("", heading.lower())),
        "start": digest(letters[:_EDGE]),
        "end": digest(letters[-_EDGE:]),
        "style": style(heading, body),
    }


def style(heading: str, body: str) -> str:
    """Return how a heading is set: `capitals`, `bare` (no full stop), `topic` or `sentence`.

    A topic is at most six words with a full stop ("Data Security.").
    """
    del body
    if heading.isupper():
        return "capitals"
    if not re.search(r"[.!?:;][\"'”’)]*$", heading):
        return "bare"
    return "topic" if len(heading.split()) <= 6 else "sentence"


def digest(text: str) -> str:
    """Return the digest that the gold has of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def split(row: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the fingerprints of the risk factors that Prepare finds in one raw filing."""
    import pyarrow as pa

    from steps.prepare.filings.examination import examine

    named = {"item_1a": row.get("item_1A") or row.get("item_1a"), "filing_type": "10-K"}
    kept = ("cik", "company", "filing_date", "filename", "period_of_report")
    batch = pa.RecordBatch.from_pylist([named | {name: row[name] for name in kept}])
    factors = examine(batch)["risk_factors"].to_pylist()[0] or ()
    return [fingerprint(factor["heading"], factor["body"]) for factor in factors]


def compared(found: Iterable[Entry], expected: Iterable[Entry], keys: Sequence[str]) -> Score:
    """Return how many entries agree in these keys; equal entries count as often as they occur."""
    have = Counter(tuple(entry[key] for key in keys) for entry in found)
    want = Counter(tuple(entry[key] for key in keys) for entry in expected)
    return Score((have & want).total(), have.total(), want.total())


def report(rows: Iterable[Mapping[str, str]], gold: Mapping[str, Sequence[Entry]]) -> list[str]:
    """Return one line per filing of the gold, and the sums, as a table."""
    lines = [f"{'filing':44} {'gold':>5} {'found':>5} {'heading':>8} {'pair':>6}"]
    headings, pairs, collapsed = Score(0, 0, 0), Score(0, 0, 0), 0
    recalled: Counter[str] = Counter()
    for row in rows:
        expected = gold.get(row["filename"])
        if expected is None:
            continue
        found = split(row)
        one = compared(found, expected, ["heading"])
        pair = compared(found, expected, ["heading", "start", "end"])
        headings, pairs, collapsed = headings + one, pairs + pair, collapsed + (one.f1 < COLLAPSED)
        right = {entry["heading"] for entry in found}
        recalled.update(entry["style"] for entry in expected if entry["heading"] in right)
        lines.append(_line(row["filename"], one, pair))
    lines.append(_line("all", headings, pairs))
    lines.append(f"filings with a heading F1 below {COLLAPSED}: {collapsed}")
    total = Counter(entry["style"] for entries in gold.values() for entry in entries)
    lines += [
        f"recall of {name}: {recalled[name]} of {number}" for name, number in sorted(total.items())
    ]
    return lines


def _line(name: str, one: Score, pair: Score) -> str:
    return f"{name[:44]:44} {one.expected:5} {one.found:5} {one.f1:8.3f} {pair.f1:6.3f}"


def main(arguments: Sequence[str]) -> int:
    """Print the scores."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.heading_score", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--filings", type=Path, required=True, help="EDGAR-CRAWLER's JSON Lines")
    parser.add_argument("--gold", type=Path, default=GOLD, help="digests per filing")
    given = parser.parse_args(arguments)
    with given.filings.open() as lines:
        rows = [json.loads(line) for line in lines]
    print("\n".join(report(rows, json.loads(given.gold.read_text()))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
