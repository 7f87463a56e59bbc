"""Synthetic filings with the shape of real ones: long sections whose factors return year by year.

    rows = filings(320, seed=1)          # 80 companies, four years each, about 28 MB of text

A real Item 1A has about 89 KB and 42 risk factors, and most of them are those of the year before
(measured on 319 filings of technology companies, 2015 to 2018). Each factor here is a heading, a
standing sentence, and a body of paragraphs. From year to year a company keeps four of five factors
word for word.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

YEARS = 4  # of each company
_KEPT = 0.8  # the share of the factors that return unchanged in the next year
_FIRST_YEAR, _FIRST_CIK = 2015, 1001

_SUBJECTS = (
    "customers", "suppliers", "patents", "pension plans", "tariffs", "data centers", "key people",
    "raw materials", "software licenses", "foreign currencies", "credit facilities", "distributors",
    "contract manufacturers", "open source software", "government contracts", "acquisitions",
)  # fmt: skip
_OUTCOMES = (
    "harm our revenue", "reduce our margins", "delay our products", "increase our costs",
    "damage our reputation", "limit our growth", "disrupt our operations", "dilute our holders",
)  # fmt: skip
_NOUNS = (
    "demand", "price", "quarter", "contract", "market", "region", "plant", "product", "license",
    "order", "employee", "system", "audit", "supply", "credit", "warehouse", "network", "platform",
    "regulation", "certification", "shipment", "forecast", "inventory", "component", "investment",
)  # fmt: skip
_SENTENCES = (
    "The {a} of our {b} depends on the {c} of {s}, and a change of {n} percent alters our {d}.",
    "In recent periods our {a} in the {b} segment was affected by {s} and by the {c} of others.",
    "We have entered into {n} agreements about {s} that end when the {a} or the {b} is replaced.",
    "Our competitors have a larger {a}, a longer {b} and more experience with {s} than we have.",
    "Neither the {a} nor the {b} of our {c} was tested for {s} under the rules of that {d}.",
)


@dataclass(frozen=True)
class Shape:
    """How many risk factors a filing has, and how many characters the body of one has."""

    factors: int = 42
    body: int = 1_990


def filings(count: int, *, seed: int, shape: Shape = Shape()) -> Iterator[dict[str, str | None]]:
    """Yield `count` raw rows in EDGAR-CRAWLER's fields, company by company."""
    for number in range(0, count, YEARS):
        cik = _FIRST_CIK + number // YEARS
        draw = random.Random(f"{seed} {cik}")  # noqa: S311 - test data
        factors = [_factor(draw, f"{cik}.{at}", shape) for at in range(shape.factors)]
        for year in range(_FIRST_YEAR, _FIRST_YEAR + min(YEARS, count - number)):
            yield _filing(cik, year, factors)
            factors = [
                factor if draw.random() < _KEPT else _factor(draw, f"{year}.{at}", shape)
                for at, factor in enumerate(factors)
            ]


def _factor(draw: random.Random, name: str, shape: Shape) -> list[str]:
    """Return the heading and the paragraphs of the body."""
    subject, outcome = draw.choice(_SUBJECTS), draw.choice(_OUTCOMES)
    lines = [f"Our dependence on {subject} may {outcome} in matter {name}."]
    paragraph, written = list[str](), 0
    while written < shape.body:
        words = dict(zip("abcd", draw.choices(_NOUNS, k=4), strict=True))
        sentence = draw.choice(_SENTENCES).format(s=subject, n=draw.randint(2, 99), **words)
        paragraph.append(sentence)
        written += len(sentence) + 1
        if len(paragraph) == 5:
            lines.append(" ".join(paragraph))
            paragraph = []
    return [*lines, " ".join(paragraph)] if paragraph else lines


def _filing(cik: int, year: int, factors: list[list[str]]) -> dict[str, str | None]:
    lines = [
        "Item 1A. Risk Factors",
        "You should carefully consider the following risks before you invest in our stock.",
    ]
    for number, factor in enumerate(factors):
        lines += factor
        if number % 3 == 0:  # the foot of a page
            lines += [str(number // 3 + 10), "Table of Contents"]
    return {
        "cik": str(cik),
        "company": f"Company {cik} Inc",
        "filing_type": "10-K",
        "filing_date": f"{year}-03-01",
        "period_of_report": f"{year - 1}-12-31",
        "sic": "3570",
        "filename": f"{cik}_10K_{year}.htm",
        "item_1a": "\n".join(lines),
    }
