"""The group of companies that a company belongs to: the division of its industry code.

    division("3570")      # 'manufacturing'
    division(None)        # 'unknown'

EDGAR gives every filer a code of the Standard Industrial Classification (SIC). The first two digits
of a code are its major group, and a division is a range of major groups. Major group 99 is
"nonclassifiable" in the SIC, so it is `unknown` here. Sources: osha.gov/data/sic-manual,
sec.gov/search-filings/standard-industrial-classification-sic-code-list.
"""

UNKNOWN = "unknown"

# Division, its first and its last major group
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
    """Return the division of a four-digit code, `unknown` for all other codes."""
    if sic is None or len(sic) != 4 or not sic.isdecimal():
        return UNKNOWN
    group = int(sic[:2])
    return next((name for name, first, last in _DIVISIONS if first <= group <= last), UNKNOWN)
