"""The synthetic corpus is shaped like the field, gives the same bytes for the same seed, and
streams.
"""

import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.local.setup import filings
from pipeline.local.synthetic import companies, corpus, notices, shape
from pipeline.local.synthetic.shape import Shape

REPOSITORY = Path(__file__).resolve().parents[2]
FILINGS, SEED = 600, 7


@pytest.fixture(scope="module")
def measured() -> Shape:
    return shape.measured(corpus.described(FILINGS, SEED))


def tenths(numbers: list[int]) -> list[float]:
    return statistics.quantiles(numbers, n=10)


def printed(*words: str) -> bytes:
    command = [sys.executable, "-m", "pipeline.local.synthetic.corpus", *words]
    return subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout


def test_sections_are_as_long_as_in_the_field(measured: Shape) -> None:
    low, median, high = (tenths(measured.lengths)[place] for place in (0, 4, 8))
    assert 20_000 < low < 50_000
    assert 80_000 < median < 110_000
    assert 130_000 < high < 180_000
    assert max(measured.lengths) < 400_000
    assert measured.characters / FILINGS > 70_000, "3,000 filings are some 240 MB"


def test_a_section_has_as_many_risk_factors_as_in_the_field(measured: Shape) -> None:
    assert 38 <= statistics.median(measured.factors) <= 48
    assert min(measured.factors) < 20
    assert max(measured.factors) > 65
    assert 500 < tenths(measured.bodies)[0] < 1_300
    assert 1_300 < statistics.median(measured.bodies) < 2_300


def test_a_year_repeats_most_of_the_year_before_with_small_edits(measured: Shape) -> None:
    """62 real filings: 0.75 to 0.9 of the headings and 0.12 to 0.67 of the bodies."""
    assert 0.7 < statistics.median(measured.headings_repeated) < 0.9
    assert 0.15 < statistics.median(measured.bodies_repeated) < 0.5


def test_two_companies_have_different_texts(measured: Shape) -> None:
    assert measured.distinct > 0.7


def test_one_filing_in_four_is_rejected_and_every_reason_occurs(measured: Shape) -> None:
    assert 0.2 < measured.dropped < 0.3
    reasons = {reason for reason, _ in notices.KINDS} - {notices.REPORTS} | {
        notices.NO_CHANGES,
        "duplicate",
    }
    assert set(measured.without) == reasons
    assert {"10-K", "10-Q", "10-K/A", "10-K405"} == set(measured.forms)


def test_every_style_of_heading_and_many_industries_are_there(measured: Shape) -> None:
    assert set(measured.headings) == {style for style, _ in companies.HEADING_STYLES}
    assert len(measured.divisions) >= 8


def test_fewer_filings_are_the_beginning_of_more_and_another_seed_gives_others() -> None:
    many, few = list(corpus.generate(60, SEED)), list(corpus.generate(20, SEED))
    assert many[:20] == few != list(corpus.generate(20, SEED + 1))
    assert len(filings.checked(many)) == 60


def test_accession_numbers_and_file_names_are_those_of_one_filing() -> None:
    names: dict[str, str] = {}
    for filing in corpus.described(300, SEED):
        fields = filing.fields
        cik, form, year, rest = fields["filename"].split("_")
        assert (cik, form) == (
            fields["cik"],
            fields["filing_type"].replace("-", "").replace("/", ""),
        )
        assert year == fields["period_of_report"][:4]
        assert fields["filing_date"] > fields["period_of_report"]
        if filing.without != "duplicate":
            assert names.setdefault(rest, fields["filename"]) == fields["filename"]
    assert len(names) > 200


def test_a_quarterly_report_has_its_section_where_such_a_report_has_it() -> None:
    quarterly = [filing for filing in corpus.generate(300, SEED) if filing["filing_type"] == "10-Q"]
    assert quarterly
    assert all(not filing["item_1A"] and filing["part_2_item_1A"] for filing in quarterly)


def test_the_command_prints_the_same_bytes_each_time_as_lines_of_json() -> None:
    lines = printed("--filings", "12", "--seed", "3")
    assert lines == printed("--filings", "12", "--seed", "3")
    assert [json.loads(line) for line in lines.splitlines()] == list(corpus.generate(12, 3))


def test_the_command_describes_the_corpus() -> None:
    text = printed("--filings", "40", "--describe").decode()
    assert text.startswith("filings                    40 of ")
    assert "bodies as last year" in text


def test_filings_come_one_by_one() -> None:
    """A corpus that nobody could hold begins at once."""
    assert len(list(itertools.islice(corpus.generate(10**12, SEED), 3))) == 3
