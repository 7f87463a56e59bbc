"""Every raw row is usable with its risk factors or rejected with the first matching reason."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.prepare.filings import examination
from steps.prepare.text.sections import LONGEST_SECTION
from tests.steps.prepare.support import fakes


def examine(*rows: dict[str, str | None]) -> list[dict[str, Any]]:
    batch = pa.RecordBatch.from_pylist(list(rows), schema=fakes.RAW_SCHEMA)
    return list(examination.examine(batch).to_pylist())


def judged(**changes: str | None) -> dict[str, Any]:
    return examine(fakes.filing(1001, 2021) | changes)[0]


def test_a_good_filing_comes_out_in_canonical_form() -> None:
    found = judged(company=" Acme\u00a0Corp ", filing_type="10-k")
    assert {
        name: found[name]
        for name in ("source_filing", "cik", "company", "filing_type", "year", "section", "reason")
    } == {
        "source_filing": "1001_10K_2021.htm",
        "cik": "0000001001",
        "company": "Acme Corp",
        "filing_type": "10-K",
        "year": 2020,
        "section": "item_1a",
        "reason": None,
    }
    assert len(found["risk_factors"]) == 4
    assert found["risk_factors"][0]["heading"].startswith("Our dependence on ")


def test_a_quarterly_report_has_its_risk_factors_in_part_two() -> None:
    found = judged(filing_type="10-Q", item_1a="ignored", part_2_item_1a=fakes.section("Acme"))
    assert (found["section"], found["reason"], len(found["risk_factors"])) == (
        "part_2_item_1a",
        None,
        4,
    )


def test_the_year_is_the_reports_year_and_else_the_filings() -> None:
    texts = ("2019-06-30", None, "June 2019", "02/01/2019", "2019", "2019-06", "20190630")
    assert [judged(period_of_report=text)["year"] for text in texts] == [
        2019,
        2021,
        2021,
        2019,
        2019,
        2019,
        2019,
    ]


def test_an_industry_code_has_four_digits_and_anything_else_is_none() -> None:
    given = ("3570", " 100 ", None, "", "n/a", "35701")
    found = [judged(sic=text) for text in given]
    assert [row["sic"] for row in found] == ["3570", "0100", None, None, None, None]
    assert {row["reason"] for row in found} == {None}, "a filing is not refused for its industry"


NOTHING = "Item 1A. Risk Factors\n"
LONG = "We may lose money. " * 60


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"item_1a": None}, "no_risk_factors"),
        ({"item_1a": "  \n"}, "no_risk_factors"),
        ({"item_1a": "ITEM 1A.\nRISK FACTORS"}, "no_risk_factors"),
        ({"item_1a": f"{NOTHING}Not applicable."}, "no_risk_factors"),
        ({"item_1a": f"{NOTHING}A smaller reporting company is not required to answer."},
            "smaller_reporting_company"),
        ({"item_1a": f"{NOTHING}Not required for smaller reporting companies."},
            "smaller_reporting_company"),
        ({"item_1a": f"{NOTHING}Incorporated by reference to our annual report."},
            "incorporated_by_reference"),
        ({"item_1a": f"{NOTHING}There have been no material changes from our Form 10-K."},
            "no_material_changes"),
        ({"item_1a": f"{NOTHING}Our business may fail."}, "section_too_short"),
        ({"item_1a": f"Item 1A. Executive Officers\n{LONG}"}, "other_section"),
        ({"item_1a": NOTHING + "x" * (LONGEST_SECTION + 1)}, "section_too_long"),
        ({"item_1a": NOTHING + "• headquarters in Springfield;\n" * 40},
            "no_headings_found"),
        ({"filing_type": "8-K"}, "unsupported_form"),
        ({"filing_type": None}, "invalid_record"),
        ({"cik": "12345678901"}, "invalid_record"),
        ({"company": " "}, "invalid_record"),
        ({"filing_date": "03/01/2021"}, "invalid_record"),
        ({"filename": None}, "invalid_record"),
    ],
)  # fmt: skip
def test_an_unusable_row_has_a_reason(changes: dict[str, str | None], reason: str) -> None:
    assert judged(**changes)["reason"] == reason


EXCEPT = (
    "Except as set forth below, there have been no material changes to the risk factors "
    "in our annual report.\n"
)


@pytest.mark.parametrize("notice", ["", EXCEPT])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "Storms have closed our only plant for two weeks in each of the last three years. " * 4,
            None,
        ),
        ("Our headquarters are in Springfield.", "section_too_short"),
    ],
)
def test_one_short_risk_factor_is_a_section(notice: str, body: str, reason: str | None) -> None:
    heading = "A storm may harm our plant and our reputation."
    found = judged(filing_type="10-Q", part_2_item_1a=f"{NOTHING}{notice}{heading}\n{body.strip()}")
    assert found["reason"] == (reason if not notice or reason is None else "no_material_changes")
    assert [factor["heading"] for factor in found["risk_factors"] or []] == (
        [] if reason else [heading]
    )


def test_a_long_section_that_mentions_references_and_changes_is_used() -> None:
    text = (
        fakes.section("Acme", 12)
        + "\nThere were no material changes; see “Risk Factors”, incorporated by reference."
    )
    assert judged(item_1a=text)["reason"] is None


def test_the_detail_of_an_invalid_record_names_the_field() -> None:
    assert judged(cik="x1")["detail"] == "cik: 1 to 10 digits expected"
    assert judged(company=None)["detail"] == "company: missing"


def test_bytes_that_are_no_utf8_reject_their_row_and_no_other() -> None:
    batch = pa.RecordBatch.from_pylist(
        [fakes.filing(1001, 2021), fakes.filing(1002, 2021)], schema=fakes.RAW_SCHEMA
    )
    texts = [row["item_1a"].encode() for row in batch.to_pylist()]
    texts[0] = texts[0].replace(b"dependence", b"depend\xe9nce")
    broken = pa.array(texts, pa.binary()).view(pa.string())
    position = batch.schema.get_field_index("item_1a")
    batch = batch.set_column(position, "item_1a", broken)
    found = examination.examine(batch).to_pylist()
    assert [(row["reason"], row["detail"]) for row in found] == [
        ("not_utf8", "item_1a"),
        (None, None),
    ]


def test_an_absent_optional_column_is_empty() -> None:
    batch = pa.RecordBatch.from_pylist([fakes.filing(1001, 2021)], schema=fakes.RAW_SCHEMA)
    batch = batch.select([name for name in fakes.RAW_COLUMNS if name not in examination.OPTIONAL])
    row = examination.examine(batch).to_pylist()[0]
    assert (row["year"], row["sic"]) == (2021, None)


def test_rows_keep_their_order_and_number() -> None:
    rows = [
        fakes.filing(cik, 2021, item_1a=None if cik % 2 else fakes.section(str(cik)))
        for cik in range(1001, 1020)
    ]
    found = examine(*rows)
    assert [row["source_filing"] for row in found] == [row["filename"] for row in rows]
    assert [row["reason"] is None for row in found] == [row["item_1a"] is not None for row in rows]


def test_no_rows_give_no_rows() -> None:
    assert examine() == []


def test_equal_text_has_an_equal_digest_with_any_page_furniture() -> None:
    text = fakes.section("Acme")
    plain = judged(item_1a=text)["section_sha256"]
    assert (
        judged(item_1a=text.replace("\n10\n", "\n\nTable of Contents\n77\n"))["section_sha256"]
        == plain
    )
    assert judged(item_1a=text.replace("case 1", "case 9"))["section_sha256"] != plain


@given(
    st.lists(
        st.fixed_dictionaries(
            {name: st.none() | st.text(max_size=80) for name in fakes.RAW_COLUMNS}
        ),
        max_size=6,
    )
)
def test_any_text_at_all_is_judged_without_a_fault(rows: list[dict[str, str | None]]) -> None:
    found = examine(*rows)
    assert len(found) == len(rows)
    assert all(row["reason"] for row in found)


def test_a_filing_s_identity_is_company_and_accession_number_wherever_that_is_found() -> None:
    names = (
        "0001193125-21-000105.txt",
        "edgar/data/1001/000119312521000105/form10-k.htm",
        "1001_10K_2020_0001193125-21-000105.htm",
    )
    assert {judged(filename=name)["filing_id"] for name in names} == {
        "0000001001/0001193125-21-000105"
    }


@pytest.mark.parametrize("column", ["accession_number", "accession"])
@pytest.mark.parametrize("text", ["0001193125-21-000105", "000119312521000105", "119312521000105"])
def test_an_accession_column_comes_before_the_file_s_name(column: str, text: str) -> None:
    row = fakes.filing(1001, 2021, filename="0000000001-99-000001.txt") | {column: text}
    batch = pa.RecordBatch.from_pylist(
        [row], schema=pa.schema([(name, pa.string()) for name in row])
    )
    found = examination.examine(batch).to_pylist()[0]
    assert found["filing_id"].endswith("-21-000105")
    assert found["ignored"] is None


def test_without_an_accession_number_company_form_date_and_text_are_the_identity() -> None:
    same = judged()["filing_id"]
    assert judged(filename="form10-k.htm", company="Other name")["filing_id"] == same
    others = (
        {"cik": "1002"},
        {"filing_type": "10-K/A"},
        {"filing_date": "2021-03-02"},
        {"item_1a": fakes.section("Other")},
    )
    assert len({same, *(judged(**change)["filing_id"] for change in others)}) == 1 + len(others)
    assert judged(filing_type="8-K")["filing_id"] is None


@pytest.mark.parametrize(
    ("changes", "ignored"),
    [
        ({"sic": "3570.0"}, "sic: 1 to 4 digits expected"),
        ({"period_of_report": "March 2021"}, "period_of_report: YYYY-MM-DD expected"),
        ({"period_of_report": "03/04/2021"}, None),
        ({"period_of_report": "2021-02-30"}, "period_of_report: no such day, YYYY-MM-DD expected"),
        (
            {"sic": "n/a", "period_of_report": "0"},
            "period_of_report: YYYY-MM-DD expected; sic: 1 to 4 digits expected",
        ),
        ({"sic": None, "period_of_report": " "}, None),
    ],
)
def test_an_optional_field_that_cannot_be_used_is_named_with_its_fault(
    changes: dict[str, str | None], ignored: str
) -> None:
    found = judged(**changes)
    assert (found["reason"], found["ignored"]) == (None, ignored)


@pytest.mark.parametrize("name", ["company", "filing_type", "filename"])
def test_a_text_in_the_column_of_a_name_is_invalid_and_is_not_carried_on(name: str) -> None:
    found = judged(**{name: "10-K " + "x" * 5_000})
    assert (found["reason"], found["detail"]) == (
        "invalid_record",
        f"{name}: at most 300 characters expected",
    )
    assert max(len(text) for text in found.values() if isinstance(text, str)) <= 300


def test_a_date_in_another_form_is_taken_as_the_day_it_means() -> None:
    found = judged(filing_date="20210301", period_of_report="12/31/2019 00:00:00")
    assert (found["filing_date"], found["year"], found["ignored"]) == ("2021-03-01", 2019, None)
