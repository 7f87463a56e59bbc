"""A date is accepted if only one day can be meant; every other text has a reason."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.prepare.text import dates

DAYS = st.dates(date(1993, 1, 1), datetime.now(UTC).date())


@given(DAYS)
def test_a_day_is_read_back_from_every_form_that_cannot_mean_another(day: date) -> None:
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    forms = [
        f"{day:%Y-%m-%d}", f"{day:%Y/%m/%d}", f"{day:%Y%m%d}", f"{day:%Y%m%d}163045",
        f"{day:%Y-%m-%d} 00:00:00", f"{day:%Y-%m-%d}T23:59:59.999+09:00",
        f"{day:%Y-%m-%d}T00:00:00Z", f"{day:%Y-%m-%d} 23:30:00 EST",
        *(str(noon * units) for units in (1, 10**3, 10**6, 10**9)),
    ]  # fmt: skip
    assert {dates.day(form) for form in forms} == {(day.isoformat(), None)}


@given(DAYS)
def test_a_day_with_its_year_last_is_taken_unless_two_days_can_be_meant(day: date) -> None:
    for form in (f"{day:%m/%d/%Y}", f"{day:%d.%m.%Y}", f"{day.month}/{day.day}/{day.year} 4:05 PM"):
        found, fault = dates.day(form)
        if day.day > 12 or day.day == day.month:
            assert (found, fault) == (day.isoformat(), None)
        else:
            assert (found, fault) == (None, "day or month may come first, YYYY-MM-DD expected")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2021-02-30", "no such day, YYYY-MM-DD expected"),
        ("31/31/2021", "no such day, YYYY-MM-DD expected"),
        ("20211301", "no such day, YYYY-MM-DD expected"),
        ("1992-12-31", "a year from 1993 to next year expected"),
        ("725846399", "a year from 1993 to next year expected"),
        (f"{datetime.now(UTC).year + 2}-01-01", "a year from 1993 to next year expected"),
        ("9999999999999999999", "a year from 1993 to next year expected"),
        ("2021-02-26T25:00:00", "YYYY-MM-DD expected"),
        ("Feb 26, 2021", "YYYY-MM-DD expected"),
        ("44253", "YYYY-MM-DD expected"),
        ("21-02-26", "YYYY-MM-DD expected"),
        ("NaT", "YYYY-MM-DD expected"),
        ("٢٠٢١-٠٢-٢٦", "YYYY-MM-DD expected"),
    ],
)
def test_any_other_text_has_a_fault(text: str, fault: str) -> None:
    assert dates.day(text) == (None, fault)


def test_next_year_s_dates_are_taken() -> None:
    assert dates.day(f"{datetime.now(UTC).year + 1}-01-31")[1] is None
