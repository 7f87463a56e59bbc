"""Columns match in any case; a type without a conversion is refused or named."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from steps.governance.errors import GovernanceError
from steps.prepare.filings import examination
from steps.prepare.filings.columns import OPTIONAL, REQUIRED, chosen
from steps.prepare.text import column_text
from tests.steps.prepare.support import fakes

TEXTS = dict.fromkeys(REQUIRED, "string")


def columns(there: dict[str, str]) -> Any:
    return chosen(there, table="edgar.raw.filings", version=3)


def test_names_match_in_any_case_and_keep_the_table_s_spelling() -> None:
    spelled = {
        "CIK": "bigint",
        "Company": "string",
        "FILING_TYPE": "char(10)",
        "filing_date": "date",
        "fileName": "varchar(80)",
    }
    found = columns(spelled | {"Item_1A": "string", "SIC": "int", "item_7": "string"})
    assert found.names == (
        "CIK",
        "Company",
        "FILING_TYPE",
        "filing_date",
        "fileName",
        "Item_1A",
        "SIC",
    )
    assert found.unusable == ()


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"CIK": "string"}, "columns CIK, cik, which differ only in case at version 3"),
        (
            {"sic": "int", "Sic": "string"},
            "columns Sic, sic, which differ only in case at version 3",
        ),
        ({"cik": "boolean"}, "cik: type boolean cannot be read as a code at version 3"),
        (
            {"filing_date": "struct<y:int>"},
            "filing_date: type struct cannot be read as a date at version 3",
        ),
        (
            {"filing_date": "boolean"},
            "filing_date: type boolean cannot be read as a date at version 3",
        ),
        ({"item_1a": "array<string>"}, "item_1a: type array cannot be read as text at version 3"),
        ({"company": "bigint"}, "company: type bigint cannot be read as text at version 3"),
        ({"cik": "date"}, "cik: type date cannot be read as a code at version 3"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_type(changes: dict[str, str], got: str) -> None:
    with pytest.raises(
        GovernanceError, match="is not a table of filings, nothing was written"
    ) as refused:
        columns(TEXTS | changes)
    assert got in str(refused.value)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(GovernanceError) as refused:
        columns(
            {
                "cik": "boolean",
                "Company": "string",
                "COMPANY": "string",
                "filing_type": "string",
                "filename": "string",
            }
        )
    for part in ("no column filing_date, item_1a;", "COMPANY, Company", "cik: type boolean"):
        assert part in str(refused.value)


def test_an_optional_column_of_another_type_is_left_out_and_named() -> None:
    found = columns(
        TEXTS | {"sic": "date", "period_of_report": "map<string,string>", "accession": "double"}
    )
    assert found.names == REQUIRED
    assert found.unusable == (
        "period_of_report: type map cannot be read as a date",
        "sic: type date cannot be read as a code",
        "accession: type double cannot be read as a name",
    )


_NINE = timezone(timedelta(hours=9))
_NUMBERS = [
    pa.array([100, None], kind)
    for kind in (
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
    )
]
_DAYS = [
    pa.array([date(2021, 2, 26), None], pa.date32()),
    pa.array([date(2021, 2, 26), None], pa.date64()),
    *(
        pa.array([datetime.fromisoformat("2021-02-26 23:30"), None], pa.timestamp(unit))
        for unit in ("s", "ms", "us", "ns")
    ),
    *(
        pa.array([datetime(2021, 2, 26, 23, 30, tzinfo=UTC), None], pa.timestamp(unit, zone))
        for unit in ("s", "ms", "us", "ns")
        for zone in ("UTC", "America/New_York", "Asia/Tokyo")
    ),
    pa.array([datetime(2021, 2, 27, 8, 30, tzinfo=_NINE), None], pa.timestamp("us", "UTC")),
]
_STRINGS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
_BYTES = (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4))
_TEXTS = [pa.array(["Acme", None], kind) for kind in _STRINGS] + [
    pa.array([b"Acme", None], kind) for kind in _BYTES
]


@pytest.mark.parametrize("array", _NUMBERS, ids=lambda array: str(array.type))
def test_integers_of_every_width_become_digits(array: pa.Array) -> None:
    assert column_text.text(array, "sic").to_pylist() == ["100", None]


@pytest.mark.parametrize("array", _DAYS, ids=lambda array: str(array.type))
def test_dates_and_times_become_the_day_in_utc(array: pa.Array) -> None:
    assert column_text.text(array, "filing_date").to_pylist() == ["2021-02-26", None]


@pytest.mark.parametrize("array", _TEXTS, ids=lambda array: str(array.type))
def test_every_encoding_of_text_becomes_plain_strings(array: pa.Array) -> None:
    found = column_text.text(array, "company")
    assert (found.type, found.to_pylist()) == (pa.string(), ["Acme", None])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([Decimal("320193"), Decimal("-1")], pa.decimal128(10, 0)), ["320193", "-1"]),
        (
            pa.array([Decimal("320193.00"), Decimal("3.50")], pa.decimal128(12, 2)),
            ["320193", "3.50"],
        ),
        (pa.array([Decimal("320193")], pa.decimal128(38, 18)), ["320193"]),
        (
            pa.array([320193.0, float("nan"), None, 1.5, float("inf"), -0.0]),
            ["320193", None, None, "1.5", "inf", "0"],
        ),
        (
            pa.array([1614297600000.0, 2.0**53 - 1, 2.0**53]),
            ["1614297600000", "9007199254740991", "9.007199254740992e+15"],
        ),
        (pa.array([320193.0, 2.0**24], pa.float32()), ["320193", "16777216.0"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_numbers_with_a_point_become_digits_where_they_are_whole(
    array: pa.Array, expected: list[str | None]
) -> None:
    assert column_text.text(array, "cik").to_pylist() == expected


@pytest.mark.parametrize(
    "array",
    [pa.array([True]), pa.array([["a"]]), pa.array([{"a": 1}])],
    ids=lambda array: str(array.type),
)
def test_a_type_without_a_conversion_is_refused_by_name(array: pa.Array) -> None:
    with pytest.raises(GovernanceError, match="column sic cannot be read as text"):
        column_text.text(array, "sic")


def test_the_kernel_reads_typed_columns_as_it_reads_text() -> None:
    row = fakes.filing(320193, 2021, sic="100")
    as_text = pa.RecordBatch.from_pylist([row], schema=fakes.RAW_SCHEMA)
    typed = {
        "cik": pa.array([320193], pa.int64()),
        "filing_date": pa.array([date(2021, 3, 1)]),
        "period_of_report": pa.array(
            [datetime.fromisoformat("2020-12-31")], pa.timestamp("us", "America/New_York")
        ),
        "sic": pa.array([100.0]),
        "item_1a": pa.array([str(row["item_1a"]).encode()], pa.large_binary()),
    }
    batch = pa.record_batch(
        [typed.get(name, as_text[name]) for name in as_text.schema.names],
        names=as_text.schema.names,
    )
    found, expected = (
        examination.examine(batch).to_pylist()[0],
        examination.examine(as_text).to_pylist()[0],
    )
    assert found == expected
    assert (found["cik"], found["sic"], found["year"]) == ("0000320193", "0100", 2020)


def test_every_optional_column_may_be_absent() -> None:
    assert columns(TEXTS).names == REQUIRED
    assert set(columns(TEXTS | dict.fromkeys(OPTIONAL, "string")).names) == {*REQUIRED, *OPTIONAL}
