"""EDGAR's printed pages become paragraphs, and nothing of the text is lost."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.prepare.text.characters import cleaned
from steps.prepare.text.paragraphs import paragraphs


def clean(text: str) -> list[str]:
    sections = pl.DataFrame(
        {"row": [0], "text": [text]}, schema={"row": pl.UInt32, "text": pl.String}
    )
    return paragraphs(sections)["paragraph"].to_list()


def mend(text: str) -> str:
    return str(pl.DataFrame({"text": [text]}).select(cleaned(pl.col("text"))).item())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("our\u0092s \u0093plan\u0094 \u0096 costs", "our’s “plan” – costs"),
        ("a\u00a0b\u2003c\td", "a b c d"),
        ("soft\u00adhy\u200bphen\ufeff", "softhyphen"),
        ("cafe\u0301", "café"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
    ],
)
def test_characters_are_repaired(text: str, expected: str) -> None:
    assert mend(text) == expected


@pytest.mark.parametrize(
    "line",
    [
        "12",
        "- 12 -",
        "Page 12",
        "page 3 of 90",
        "F-12",
        "xiv",
        "Table of Contents",
        "TABLE OF CONTENTS",
        "-----",
        "PART I",
        "Form 10-K",
        "Item 1A. Risk Factors (Continued)",
    ],
)
def test_page_furniture_is_removed(line: str) -> None:
    assert clean(f"We may lose money.\n{line}\nWe may lose people.") == [
        "We may lose money.",
        "We may lose people.",
    ]


@pytest.mark.parametrize("line", ["2012", "We", "Costs rose by 12", "I. Our costs may rise."])
def test_text_that_resembles_furniture_stays(line: str) -> None:
    kept = clean(f"We may lose money.\n{line}\nWe may lose people.")
    assert (line in kept) == (line != "2012")  # a year alone on a line is taken for a page number


def test_a_sentence_goes_on_behind_a_page_break() -> None:
    assert clean(
        "information about our customers or employees is\n\n14\nTable of Contents\nmisappropriated."
    ) == ["information about our customers or employees is misappropriated."]


def test_a_running_head_is_removed_and_a_heading_that_occurs_once_stays() -> None:
    text = "\n".join(
        f"ACME CORPORATION\nWe may lose money in case {number}." for number in range(3)
    )
    assert clean(f"Risks Related to Our Business\n{text}") == [
        "Risks Related to Our Business",
        *(f"We may lose money in case {number}." for number in range(3)),
    ]


@pytest.mark.parametrize("bullet", ["•", "·", "▪", "●", "-", "*", "(a)", "o"])
def test_a_bullet_on_its_own_line_joins_its_item(bullet: str) -> None:
    assert clean(f"These include:\n{bullet}\nhigher costs;\n{bullet}\nlower prices.") == [
        "These include:", "• higher costs;", "• lower prices.",
    ]  # fmt: skip


def test_sections_do_not_run_into_each_other() -> None:
    sections = pl.DataFrame(
        {"row": [0, 1], "text": ["We may not\nbe able", "to pay."]},
        schema={"row": pl.UInt32, "text": pl.String},
    )
    assert paragraphs(sections).to_dicts() == [
        {"row": 0, "paragraph": "We may not be able"},
        {"row": 1, "paragraph": "to pay."},
    ]


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_cleaning_is_idempotent_on_any_text(text: str) -> None:
    assert mend(mend(text)) == mend(text)


@given(st.lists(st.text(alphabet="abcDEF ", min_size=12, max_size=60), max_size=12, unique=True))
def test_no_word_of_ordinary_lines_is_lost(lines: list[str]) -> None:
    sentences = [f"We {line} may." for line in lines]
    assert " ".join(clean("\n".join(sentences))).split() == " ".join(sentences).split()
