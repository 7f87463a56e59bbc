"""Texts with known repeats: random risk factors, edited from year to year, and shared sentences."""

import random
from collections.abc import Sequence

from steps.prepare import task_mix
from steps.prepare.bounds import Bounds
from tests.steps.prepare.support import fakes

ANY = Bounds(most_overlap=1.0, most_rejected=1.0, most_repeats=1.0, least_eval=0.0, most_eval=1.0)
MIX = task_mix.parse("compare-two-years/1=0.8,risk-factor-heading/2=0.2")

_STARTS = (
    "bel",
    "cor",
    "dam",
    "fil",
    "gor",
    "hel",
    "kim",
    "lor",
    "mot",
    "nam",
    "pel",
    "rin",
    "sal",
)
_ENDS = ("a", "ent", "ic", "ion", "ing", "ment", "os", "ure", "um", "ward")
TWICE_TWO_YEARS = (2_017, 2_018, 2_020, 2_021)  # of filing, each about the year before
_STOP_WORDS = ("the", "of", "and", "to")
WORDS = [f"{start}{end}" for start in _STARTS for end in _ENDS]
_SENTENCE = (
    "any of these events could harm our business financial condition results of operations and "
    "the price of our common stock may decline"
)
BOILERPLATE = _SENTENCE.split()


def text(draw: random.Random, words: int) -> list[str]:
    """Return random words, with a sentence that many texts have."""
    found = [
        draw.choice(_STOP_WORDS)
        if draw.random() < 0.15
        else draw.choice(WORDS) + draw.choice(WORDS)
        for _ in range(words - len(BOILERPLATE))
    ]
    at = draw.randrange(len(found))
    return [*found[:at], *BOILERPLATE, *found[at:]]


def edited(draw: random.Random, words: Sequence[str], share: float) -> list[str]:
    """Return the words with this share of them replaced, deleted or followed by another."""
    found: list[list[str]] = [[word] for word in words]
    for at in draw.sample(range(len(found)), round(share * len(found))):
        new = f"{draw.choice(WORDS)}{draw.choice(WORDS)}{draw.choice(WORDS)}"
        found[at] = draw.choice(([new], [], [found[at][0], new]))
    return [word for part in found for word in part]


def shingles(words: Sequence[str], size: int = 5) -> set[tuple[str, ...]]:
    """Return the runs of `size` words."""
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}


def similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the Jaccard similarity of the five-word shingles, by Python's own sets."""
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


def corpus(seed: int) -> list[dict[str, str | None]]:
    """Return filings of a few companies whose risk factors return, edited, and cross companies."""
    draw = random.Random(seed)  # noqa: S311 - test data
    shared = [_factor(draw) for _ in range(3)]
    rows = []
    for cik in range(2_001, 2_001 + draw.randint(2, 9)):
        own = [_factor(draw) for _ in range(draw.randint(3, 6))]
        own += draw.sample(shared, draw.randint(0, 2))
        for year in range(2_018, 2_018 + draw.randint(1, 4)):
            own = [(heading, edited(draw, body, draw.choice((0, 0.01, 0.05, 0.1))))
                   for heading, body in own]  # fmt: skip
            if draw.random() < 0.4:
                own[draw.randrange(len(own))] = _factor(draw)
            rows.append(fakes.filing(cik, year, item_1a=section(own)))
    return rows


def _factor(draw: random.Random) -> tuple[str, list[str]]:
    subject = f"{draw.choice(WORDS)} {draw.choice(WORDS)}"
    return f"The loss of our {subject} could harm our revenue.", text(draw, draw.randint(60, 120))


def section(factors: Sequence[tuple[str, Sequence[str]]]) -> str:
    lines = ["Item 1A. Risk Factors", "You should carefully consider these risks."]
    for heading, body in factors:
        sentences = [
            " ".join(body[at : at + 12]).capitalize() + "." for at in range(0, len(body), 12)
        ]
        lines += [heading, " ".join(sentences)]
    return "\n".join(lines)


def _sentence(draw: random.Random) -> str:
    return " ".join(text(draw, 45)).capitalize() + "."


def two_years(length: int = 6) -> list[dict[str, str | None]]:
    """Each year, each of a company's three risk factors has two other sentences."""
    draw = random.Random(3)  # noqa: S311 - test data
    rows = []
    for cik in range(4_001, 4_007):
        bodies = {name: [_sentence(draw) for _ in range(length)] for name in "abc"}
        for year in TWICE_TWO_YEARS:
            for body in bodies.values():
                for at in draw.sample(range(length), 2):
                    body[at] = _sentence(draw)
            lines = ["Item 1A. Risk Factors", "You should carefully consider these risks."]
            for name, body in bodies.items():
                lines += [f"The loss of our plant {name} of {cik} could harm us.", " ".join(body)]
            rows.append(fakes.filing(cik, year, item_1a="\n".join(lines)))
    return rows
