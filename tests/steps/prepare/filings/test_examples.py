"""Examples are extractive, bounded, and known by a stable id."""

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.prepare.filings import examination, examples
from steps.prepare.repeats.words import words

BODY = "We sell most of our products to a few customers. " * 6
HEADING = "The loss of a customer could harm us."


def write(*factors: tuple[str, str]) -> list[dict[str, Any]]:
    row = {
        "source_filing": "a.htm", "filing_id": "0000001001/0000001001-21-000001",
        "cik": "0000001001", "company": "Acme Inc", "sic": "3570", "filing_type": "10-K",
        "filing_date": "2021-03-01", "year": 2020, "section": "item_1a", "section_sha256": "0",
        "reason": None, "detail": None,
        "risk_factors": [{"heading": heading, "body": body} for heading, body in factors],
    }  # fmt: skip
    return list(
        examples.write(pa.RecordBatch.from_pylist([row], schema=examination.SCHEMA)).to_pylist()
    )


def test_the_company_s_own_heading_is_the_answer() -> None:
    found = write((HEADING, BODY))[0]
    assert found["completion"] == HEADING
    assert found["system"] == examples.SYSTEM
    assert found["prompt"] == (
        "Below is one risk factor from the 10-K of Acme Inc for 2020. Write its heading as "
        "the company has it: a sentence, seldom two, that states the risk and what it could do to "
        f"the company, or a short title.\n\n{BODY}"
    )
    assert found["reason"] is None


@pytest.mark.parametrize(
    ("heading", "body", "reason"),
    [
        (HEADING, "Too short.", "body_too_short"),
        (HEADING, "", "body_too_short"),
        (HEADING, f"{BODY} the loss of a customer could harm us, as it did.", "heading_in_body"),
    ],
)
def test_what_teaches_nothing_is_rejected(heading: str, body: str, reason: str) -> None:
    found = write((heading, body))[0]
    assert (found["reason"], found["detail"]) == (reason, f"risk factor 0: {HEADING}")


def test_ids_differ_by_position_and_stay_the_same() -> None:
    first, second = write((HEADING, BODY), (HEADING, f"{BODY} More.")), write((HEADING, BODY))
    assert first[0]["example_id"] == second[0]["example_id"] != first[1]["example_id"]


def test_an_id_changes_with_the_template() -> None:
    before = examples.example_id("a.htm", 0)
    assert before == examples.example_id("a.htm", 0, examples.TEMPLATE)
    assert examples.example_id("a.htm", 0, "risk-factor-heading/3") != before


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_both_ways_to_the_words_agree(text: str) -> None:
    plain = f"{text} “Ünser” it’s A_B 7–8…"
    for each in (text, plain, plain.replace("Ü", "U")):
        expected = " ".join(re.findall(r"\w+", each.casefold())).encode()
        assert words(each) == expected


def test_a_template_with_other_words_needs_another_version() -> None:
    words = examples.text_sha256(examples.SYSTEM, examples.INSTRUCTION)
    assert (examples.TEMPLATE, words[:16]) == ("risk-factor-heading/2", "eb1c1f072a381faa")


@given(st.text(alphabet="ab. \n", max_size=9_000))
def test_a_bounded_body_is_a_beginning_that_ends_with_a_sentence(body: str) -> None:
    shown = examples.bounded(body)
    assert body.startswith(shown)
    assert len(shown) <= examples.LONGEST_BODY
    if (
        len(body) > examples.LONGEST_BODY
        and "." in body[examples.SHORTEST_BODY : examples.LONGEST_BODY - 1]
    ):
        assert shown == "" or shown.endswith(".") or ". " not in shown[examples.SHORTEST_BODY :]


def test_words_decide_what_is_a_repeat() -> None:
    same = examples.text_sha256("“Loss” of a\ncustomer.", "It’s BAD")
    assert same == examples.text_sha256('"loss" of a customer', "It's bad.")
    assert same != examples.text_sha256("Loss of a supplier.", "It's bad.")
