"""The score of headings: what counts as right, and a gold that holds no text."""

import json
import re

import pytest

from scripts import heading_score
from scripts.heading_score import Score, compared, fingerprint
from tests.steps.prepare.support import styled

HEADING, BODY = "We may lose “customers”.", "None of them must buy again.\n• Each can leave."


def test_a_fingerprint_depends_on_letters_and_digits_only() -> None:
    plain = fingerprint('WE MAY LOSE "CUSTOMERS"', "None of them must buy again. Each can leave")
    assert plain | {"style": "sentence"} == fingerprint(HEADING, BODY) | {"style": "sentence"}


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (BODY, 1),
        (f"{BODY} {'And more of it. ' * 9}", 0),
        (f"{'Before it there is more. ' * 9}{BODY}", 0),
    ],
)
def test_a_pair_needs_both_ends_of_the_body(body: str, right: int) -> None:
    pair = [fingerprint(HEADING, body)], [fingerprint(HEADING, BODY)]
    assert compared(*pair, ["heading"]) == Score(1, 1, 1)
    assert compared(*pair, ["heading", "start", "end"]) == Score(right, 1, 1)


def test_what_occurs_twice_counts_twice_only_if_it_is_found_twice() -> None:
    one, two = fingerprint(HEADING, BODY), fingerprint("Other.", BODY)
    assert compared([one, one, two], [one, two, two], ["heading"]) == Score(2, 3, 3)
    assert Score(2, 3, 3).f1 == pytest.approx(2 / 3)


def test_the_report_scores_what_prepare_finds() -> None:
    section = styled.section("title_case")
    row = {
        "filename": "a.htm", "cik": "1", "company": "A", "filing_date": "2020-02-03",
        "period_of_report": "2019-12-31", "item_1A": f"Item 1A. Risk Factors\n{section}",
    }  # fmt: skip
    found = heading_score.split(row)
    wrong = [*found[:5], *(entry | {"heading": "0"} for entry in found[5:])]
    assert "1.000  1.000" in heading_score.report([row], {"a.htm": found})[1]
    assert "0.500  0.500" in heading_score.report([row], {"a.htm": wrong})[1]


def test_the_gold_has_twelve_filings_and_no_text() -> None:
    gold = json.loads(heading_score.GOLD.read_text())
    assert len(gold) >= 12
    for entries in gold.values():
        assert len(entries) >= 10
        for entry in entries:
            assert entry.keys() == {"heading", "start", "end", "style"}
            digests = entry["heading"] + entry["start"] + entry["end"]
            assert re.fullmatch("[0-9a-f]{48}", digests)
