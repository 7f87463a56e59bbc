"""Statistics of a corpus: lengths, numbers, and the share of text that repeats earlier filings.

shape = measured(corpus.described(3000, 7))
shape.median("factors"), print(table(shape))
"""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.local.synthetic.histories import Filing
from pipeline.local.synthetic.risk_factors import RiskFactor


@dataclass
class Shape:
    """The counts. Lengths are in characters; shares are of one report's risk factors, 0 to 1."""

    filings: int = 0
    characters: int = 0
    ciks: set[str] = field(default_factory=set)
    divisions: set[str] = field(default_factory=set)  # first digits of the industry codes
    without: Counter[str] = field(default_factory=Counter)  # filings by why they hold nothing new
    forms: Counter[str] = field(default_factory=Counter)
    # Annual reports with a section, by how headings are set
    headings: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)  # of sections of annual reports
    factors: list[int] = field(default_factory=list)  # in a section of an annual report
    bodies: list[int] = field(default_factory=list)
    headings_repeated: list[float] = field(default_factory=list)  # from the year before
    bodies_repeated: list[float] = field(default_factory=list)
    sentences: int = 0  # of companies' first reports
    distinct_sentences: set[int] = field(default_factory=set)

    @property
    def dropped(self) -> float:
        """The share of filings that hold nothing new."""
        return self.without.total() / self.filings

    @property
    def distinct(self) -> float:
        """The share of sentences in companies' first reports that occur for the first time."""
        return len(self.distinct_sentences) / self.sentences


def measured(filings: Iterable[Filing]) -> Shape:
    """Count the filings, one at a time."""
    shape, before = Shape(), dict[str, _Digests]()
    for filing in filings:
        fields = filing.fields
        shape.filings += 1
        shape.characters += sum(map(len, fields.values()))
        shape.ciks.add(fields["cik"])
        shape.divisions.add(f"{int(fields['sic']):04d}"[:1])
        shape.forms[fields["filing_type"]] += 1
        if filing.without:
            shape.without[filing.without] += 1
        elif fields["filing_type"] == "10-K":
            before[fields["cik"]] = _report(shape, filing, before.get(fields["cik"]))
    return shape


@dataclass(frozen=True)
class _Digests:
    """Digests of a report's sentences, to compare with the next year's."""

    headings: set[int]
    bodies: set[int]


def _report(shape: Shape, filing: Filing, before: _Digests | None) -> _Digests:
    year = int(filing.fields["period_of_report"][:4])
    bodies = [_body(factor, year) for factor in filing.factors]
    digests = _Digests({hash(factor.heading) for factor in filing.factors}, set(map(hash, bodies)))
    shape.headings[filing.headings] += 1
    shape.lengths.append(len(filing.fields["item_1A"]))
    shape.factors.append(len(filing.factors))
    shape.bodies += map(len, bodies)
    if before:
        shape.headings_repeated.append(_share(digests.headings, before.headings))
        shape.bodies_repeated.append(_share(digests.bodies, before.bodies))
    else:
        sentences = [
            text
            for factor in filing.factors
            for paragraph in factor.body
            for text in paragraph.sentences
        ]
        shape.sentences += len(sentences)
        shape.distinct_sentences |= set(map(hash, sentences))
    return digests


def _body(factor: RiskFactor, year: int) -> str:
    return "\n".join(" ".join((*each.sentences, *each.items)) for each in factor.paragraphs(year))


def _share(now: set[int], before: set[int]) -> float:
    return len(now & before) / len(now)


def table(shape: Shape) -> str:
    """Return the statistics as a text table."""
    rows = [
        (
            "filings",
            (
                f"{shape.filings} of {len(shape.ciks)} filers, {shape.characters / 1e6:.1f} "
                "million characters"
            ),
        ),
        ("forms", _counts(shape.forms)),
        ("nothing to learn from", f"{shape.dropped:.1%}: {_counts(shape.without)}"),
        ("headings", _counts(shape.headings)),
        ("section, characters", _quantiles(shape.lengths)),
        ("risk factors of a section", _quantiles(shape.factors)),
        ("body, characters", _quantiles(shape.bodies)),
        ("headings as last year", _quantiles(shape.headings_repeated)),
        ("bodies as last year", _quantiles(shape.bodies_repeated)),
        ("distinct sentences", f"{shape.distinct:.1%} of those in first reports"),
    ]
    return "\n".join(f"{name:<26} {value}" for name, value in rows)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.most_common())


def _quantiles(numbers: list[int] | list[float]) -> str:
    if len(numbers) < 2:
        return "too few"
    tenths = statistics.quantiles(numbers, n=10)
    return "  ".join(
        f"{name} {value:,.2f}" if max(numbers) <= 1 else f"{name} {value:,.0f}"
        for name, value in (
            ("10 %", tenths[0]),
            ("median", tenths[4]),
            ("90 %", tenths[8]),
            ("most", max(numbers)),
        )
    )
