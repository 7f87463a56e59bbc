"""Parse dates in the forms that loaders write; refuse a text that could mean two days.

    day("02/26/2021")      # ("2021-02-26", None)
    day("03/04/2021")      # (None, "day or month may come first, YYYY-MM-DD expected")
    year("03/04/2021")     # (2021, None)

Forms: `2021-02-26` and `2021/02/26`, `02/26/2021` (day or month first, where one of them is
impossible or both are equal), each with or without a time; `20210226`, `20210226163045`; seconds,
milliseconds, microseconds or nanoseconds since 1970 (UTC). A day with a time and a zone is the day
that is written, not that of another zone.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

FIRST_YEAR = 1993  # EDGAR's first electronic filings [sec.gov, "About EDGAR"]

_TIME = (
    r"(?:(?:T|\s+)(?:[01]?[0-9]|2[0-3]):[0-5][0-9]"
    r"(?::[0-5][0-9](?:[.,][0-9]{1,9})?)?(?:\s?[AaPp][Mm])?"
    r"\s?(?:[Zz]|UTC|GMT|E[SD]?T|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_YEAR_FIRST = re.compile(r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})" + _TIME)
_YEAR_LAST = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})" + _TIME)
_COMPACT = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})(?:(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9])?"
)
_YEAR_ALONE = re.compile(r"[0-9]{4}(?:-(?:0[1-9]|1[0-2]))?")  # a year, or a year and a month
_EPOCH = re.compile(r"[0-9]{9,19}")
# By the number of digits, which differ between the units for every year from 1973 to 2286.
_UNITS_PER_SECOND = {9: 1, 10: 1, 12: 10**3, 13: 10**3, 15: 10**6, 16: 10**6, 18: 10**9, 19: 10**9}
_SECONDS_PER_DAY = 86_400

_FORM = "YYYY-MM-DD expected"
_EITHER = "day or month may come first, YYYY-MM-DD expected"
_NO_SUCH_DAY = "no such day, YYYY-MM-DD expected"
_YEAR = f"a year from {FIRST_YEAR} to next year expected"


@lru_cache(4096)
def day(text: str) -> tuple[str | None, str | None]:
    """Return the day as `YYYY-MM-DD`, or the fault of the text."""
    read = _readings(text)
    if read is None:
        return None, _FORM
    days = sorted({found for found in read if found is not None})
    if not days:
        return None, _NO_SUCH_DAY
    if len(days) > 1:
        return None, _EITHER
    if not FIRST_YEAR <= days[0].year <= datetime.now(UTC).year + 1:
        return None, _YEAR
    return days[0].isoformat(), None


@lru_cache(4096)
def year(text: str) -> tuple[int | None, str | None]:
    """Return the year of a date, or the fault of the text.

    The year can be certain where the day is not (`03/04/2021`).
    """
    if _YEAR_ALONE.fullmatch(text):
        years = {int(text[:4])}
    elif (read := _readings(text)) is None:
        return None, _FORM
    else:
        years = {found.year for found in read if found is not None}
    if not years:
        return None, _NO_SUCH_DAY
    (certain,) = years  # the readings of one text differ in day and month only
    return (certain, None) if FIRST_YEAR <= certain <= datetime.now(UTC).year + 1 else (None, _YEAR)


def _readings(text: str) -> list[date | None] | None:
    """Return every day that the text may mean, None for one that does not exist.

    None: not a form we know.
    """
    if found := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text):
        year, month, of_month = map(int, found.groups())
        return [_date(year, month, of_month)]
    if found := _YEAR_LAST.fullmatch(text):
        first, second, year = map(int, found.groups())
        return [_date(year, first, second), _date(year, second, first)]
    if _EPOCH.fullmatch(text) and len(text) in _UNITS_PER_SECOND:
        days = int(text) // (_UNITS_PER_SECOND[len(text)] * _SECONDS_PER_DAY)
        return [date(1970, 1, 1) + timedelta(days)]
    return None


def _date(year: int, month: int, of_month: int) -> date | None:
    try:
        return date(year, month, of_month)
    except ValueError:
        return None
