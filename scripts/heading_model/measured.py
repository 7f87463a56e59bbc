"""Score a model on labelled sections: headings and whole pairs, by section and by style.

    measure(sections, model)        # -> list of Result, one a section
    table(results)                  # -> lines of text: sums, then one line per company

The expected pairs come from the labels by the rule that Prepare applies to its own: a title ends
the risk factor above it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from scripts.heading_model.corpus import Section
from scripts.heading_score import COLLAPSED, Score, compared, fingerprint
from steps.prepare.styled.kinds_by_type import Labelled
from steps.prepare.text.heading_model import Model
from steps.prepare.text.heading_sequence import BODY, RUN_IN, TITLE
from steps.prepare.text.risk_factors import risk_factors

_PAIR = ("heading", "start", "end")


@dataclass(frozen=True)
class Result:
    """The scores of one section, and how many headings of each style were found."""

    company: str
    name: str
    headings: Score
    pairs: Score
    found: Mapping[str, int]
    expected: Mapping[str, int]


def pairs(lines: Sequence[Labelled]) -> list[tuple[str, str, str]]:
    """Return the headings, their bodies and their kinds that the labels mean."""
    made: list[tuple[str, list[str], str]] = []
    inside = False
    for one in lines:
        if one.kind == BODY and inside:
            made[-1][1].append(one.paragraph)
        if one.heading:
            rest = one.paragraph.split(one.heading, 1)[1].strip()
            made.append((one.heading, [rest] if one.kind == RUN_IN else [], one.kind))
        inside = bool(one.heading) or (inside and one.kind != TITLE)
    return [(heading, "\n".join(body).strip(), kind) for heading, body, kind in made]


def measure(sections: Sequence[Section], model: Model | None = None) -> list[Result]:
    """Score each section with this model, or with that of the file."""
    rows = [(number, one.paragraph) for number, s in enumerate(sections) for one in s.lines]
    frame = pl.DataFrame(rows, {"row": pl.UInt32, "paragraph": pl.String}, orient="row")
    found: dict[int, list[dict[str, str]]] = defaultdict(list)
    for factor in risk_factors(frame, model).to_dicts():
        found[factor["row"]].append(fingerprint(factor["heading"], factor["body"]))
    return [_result(one, found[number]) for number, one in enumerate(sections)]


def _result(section: Section, found: Sequence[Mapping[str, str]]) -> Result:
    wanted = [(fingerprint(head, body), kind) for head, body, kind in pairs(section.lines)]
    expected = [entry for entry, _ in wanted]
    right = {entry["heading"] for entry in found}
    styles = [
        (entry["heading"], "run in" if kind == RUN_IN else entry["style"]) for entry, kind in wanted
    ]
    return Result(
        section.company,
        section.path,
        compared(found, expected, ["heading"]),
        compared(found, expected, _PAIR),
        Counter(style for heading, style in styles if heading in right),
        Counter(style for _, style in styles),
    )


def table(results: Sequence[Result], *, companies: bool = True) -> list[str]:
    """Return the sums, the recall by style and one line per company."""
    by_company: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        by_company[one.company].append(one)
    lines = [_line("all", results)]
    if companies:
        lines += [_line(name[-40:], of_it) for name, of_it in sorted(by_company.items())]
    found, expected = _sum(one.found for one in results), _sum(one.expected for one in results)
    lines += [
        f"  recall of {style}: {found[style]} of {number} ({found[style] / number:.3f})"
        for style, number in sorted(expected.items())
    ]
    return lines


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def _line(name: str, results: Sequence[Result]) -> str:
    headings, both = Score(0, 0, 0), Score(0, 0, 0)
    for one in results:
        headings, both = headings + one.headings, both + one.pairs
    collapsed = sum(one.headings.f1 < COLLAPSED for one in results)
    return (
        f"{name:40} sections {len(results):3}  headings {headings.expected:5}"
        f"  F1 {headings.f1:.3f} pairs {both.f1:.3f}  below {COLLAPSED}: {collapsed}"
    )
