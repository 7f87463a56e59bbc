"""Which group of companies a company belongs to: the division of its industry code.

    division("3570")      # 'manufacturing'
    division(None)        # 'unknown'

Source: the division structure of the Standard Industrial Classification, whose codes EDGAR gives to every filer
(osha.gov/data/sic-manual, sec.gov/search-filings/standard-industrial-classification-sic-code-list). A division is a range
of major groups, which are a code's first two digits. Major group 99 is "nonclassifiable" there, so it is unknown here.
"""

UNKNOWN = "unknown"

# division, its first and its last major group
_DIVISIONS = (
    ("agriculture", 1, 9),
    ("mining", 10, 14),
    ("construction", 15, 17),
    ("manufacturing", 20, 39),
    ("transportation_communications_utilities", 40, 49),
    ("wholesale", 50, 51),
    ("retail", 52, 59),
    ("finance", 60, 67),
    ("services", 70, 89),
    ("public_administration", 91, 98),
)
NAMES = (UNKNOWN, *(name for name, _, _ in _DIVISIONS))


def division(sic: str | None) -> str:
    """The division of a four-digit code; `unknown` for no code and for codes of no division."""
    if sic is None or len(sic) != 4 or not sic.isdecimal():
        return UNKNOWN
    group = int(sic[:2])
    return next((name for name, first, last in _DIVISIONS if first <= group <= last), UNKNOWN)
