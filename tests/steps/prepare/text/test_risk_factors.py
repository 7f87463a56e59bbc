"""Headings are found in both ways filings set them, and only headings."""

import polars as pl
import pytest

from steps.prepare.text.paragraphs import paragraphs
from steps.prepare.text.risk_factors import risk_factors
from tests.steps.prepare.support import styled

MISSED = {"standing": 1}  # of ten: two sentences

BODY = (
    "We sell most of our products to a few customers, and none of them must buy again. "
    "Their orders vary from quarter to quarter, and each orders when it likes."
)
TAX = "Changes in U.S. tax law could increase our costs."
ABOUT_TAX = (
    "We paid federal income tax at a rate of 24 % in each of the last two years. "
    "Congress has discussed a law that would end two deductions that we have used."
)
STANDING = [
    "We depend on a few customers, and the loss of one of them could harm our revenue.",
    "If we cannot protect our patents, our competitors may copy our products.",
    TAX,
    (
        "The Maturities of Our Assets and Liabilities Are Mismatched, Which Could Adversely "
        "Affect Earnings."
    ),
]


def split(text: str) -> list[tuple[str, str]]:
    sections = pl.DataFrame(
        {"row": [0], "text": [text]}, schema={"row": pl.UInt32, "text": pl.String}
    )
    return [
        (found["heading"], found["body"]) for found in risk_factors(paragraphs(sections)).to_dicts()
    ]


@pytest.mark.parametrize("heading", STANDING)
def test_a_sentence_on_its_own_line_heads_what_follows(heading: str) -> None:
    """The shortest one needs a text about it, as a section of two paragraphs has little else."""
    body = ABOUT_TAX if heading == TAX else BODY
    assert split(f"{heading}\n{body}") == [(heading, body)]


@pytest.mark.parametrize(
    "heading",
    [
        *STANDING[:3],
        "Our efforts to defend ourselves against claims by Mr. Doe may fail in the U.S. courts.",
    ],
)
def test_a_first_sentence_heads_its_paragraph(heading: str) -> None:
    paragraph = f"{heading} {BODY}"
    other = f"A breach of our systems may expose us to litigation and to higher costs. {BODY}"
    assert split(f"{paragraph}\n{other}") == [
        (heading, BODY),
        (other.removesuffix(f" {BODY}"), BODY),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "In addition, we may lose some of our customers.",
        "However, these measures could fail.",
        "You should carefully consider the following risks, which could harm us.",
        "The forward-looking statements of this report may turn out to be wrong.",
        "We also may lose some of our suppliers.",
        "See Item 2, Properties.",
        "Risks Related to Our Business",
        "• the loss of one of our customers could harm us.",
    ],
)
def test_what_leans_on_its_neighbours_or_names_no_risk_heads_nothing(line: str) -> None:
    found = split(
        f"{STANDING[0]}\n{BODY}\n{line}\n{BODY} And then some more, so that the body is the "
        "longer one of the two."
    )
    assert [heading for heading, _ in found] == [STANDING[0]]


def test_the_title_of_a_group_belongs_to_no_risk_factor() -> None:
    found = split(f"{STANDING[0]}\n{BODY}\nRisks Related to Our Stock\n{STANDING[1]}\n{BODY}")
    assert found == [(STANDING[0], BODY), (STANDING[1], BODY)]


def test_the_title_of_a_group_ends_the_risk_factor_before_it() -> None:
    introduction = f"The following risks concern those who hold our stock. {BODY}"
    title = "Risks Related to Our Stock"
    found = split(f"{STANDING[0]}\n{BODY}\n{title}\n{introduction}\n{STANDING[1]}\n{BODY}")
    assert found == [(STANDING[0], BODY), (STANDING[1], BODY)]


@pytest.mark.parametrize("style", styled.HEADINGS)
def test_the_headings_of_each_style_are_found(style: str) -> None:
    expected = [styled.HEADINGS[style](number) for number in range(len(styled.SENTENCES))]
    found = split(styled.section(style))
    headings = [heading for heading, _ in found]
    assert [heading for heading in headings if heading not in expected] == []
    assert len(headings) >= len(expected) - MISSED.get(style, 0)
    bodies = dict(zip(expected, styled.BODIES, strict=True))
    # Where a heading is missed, the one before it has a longer body.
    assert sum(bodies[heading] == body for heading, body in found) >= len(found) - 1


def test_a_list_belongs_to_the_risk_factor_above_it() -> None:
    items = "Among them are:\n•\nhigher costs, which may harm us;\n•\nlower prices."
    assert split(f"{STANDING[0]}\n{BODY}\n{items}\n{STANDING[1]}\n{BODY}") == [
        (
            STANDING[0],
            f"{BODY}\nAmong them are:\n• higher costs, which may harm us;\n• lower prices.",
        ),
        (STANDING[1], BODY),
    ]


def test_the_introduction_belongs_to_no_risk_factor() -> None:
    assert split(f"An investment in our stock involves risks.\n{STANDING[1]}\n{BODY}") == [
        (STANDING[1], BODY)
    ]


def test_sections_are_kept_apart() -> None:
    texts = [f"{STANDING[0]}\n{BODY}", f"{STANDING[2]} {BODY}\n{STANDING[1]} {BODY}"]
    sections = pl.DataFrame(
        {"row": [0, 1], "text": texts}, schema={"row": pl.UInt32, "text": pl.String}
    )
    found = risk_factors(paragraphs(sections))
    assert found.select("row", "position", "heading").rows() == [
        (0, 0, STANDING[0]),
        (1, 0, STANDING[2]),
        (1, 1, STANDING[1]),
    ]
