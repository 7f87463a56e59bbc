"""Sections without a risk factor: short notices, and filings from before Item 1A was required.

docs/data.md ("Rejected table") has Prepare's reason for each.
"""

from pipeline.local.synthetic.draw import Draw

REPORTS = "reports"
BEFORE, SMALLER, BY_REFERENCE = (
    "before_2005",
    "smaller_reporting_company",
    "incorporated_by_reference",
)
NOT_APPLICABLE, OTHER_SECTION, TOO_SHORT = "not_applicable", "other_section", "too_short"
NO_CHANGES = "no_material_changes"

# The share of companies by what they file. About one filing in four is rejected, duplicates
# included.
KINDS = (
    (REPORTS, 0.76),
    (BEFORE, 0.10),
    (SMALLER, 0.05),
    (BY_REFERENCE, 0.03),
    (NOT_APPLICABLE, 0.02),
    (OTHER_SECTION, 0.02),
    (TOO_SHORT, 0.02),
)
# When the last of such filings ended: the SEC asks for Item 1A since December 2005, and excuses
# smaller companies since 2008.
PERIODS = {
    BEFORE: (1997, 2004),
    OTHER_SECTION: (1998, 2004),
    SMALLER: (2012, 2025),
    BY_REFERENCE: (2009, 2025),
    NOT_APPLICABLE: (2010, 2025),
    TOO_SHORT: (2010, 2025),
}
_TEXTS = {
    BEFORE: ("",),
    OTHER_SECTION: (
        (
            "ITEM 1A. EXECUTIVE OFFICERS OF THE REGISTRANT\n"
            "The executive officers of the Company, their ages and their positions are "
            "listed below. Officers "
            "are elected annually by the Board of Directors and serve at its discretion.\n"
            "The Chairman and Chief Executive Officer, age 61, has held this office for 9 "
            "years and was with "
            "the Company in other functions before.\n"
            "The President, age 55, has held this office for 4 years and was with the "
            "Company in other "
            "functions before.\n"
            "The Chief Financial Officer, age 49, has held this office for 6 years and was "
            "with the Company "
            "in other functions before.\n"
            "The General Counsel, age 52, has held this office for 3 years and was with the "
            "Company in other "
            "functions before.\n"
            "The Controller, age 44, has held this office for 2 years and was with the "
            "Company in other "
            "functions before."
        ),
    ),
    SMALLER: (
        (
            "ITEM 1A.\n"
            "RISK FACTORS.\n"
            "We are a smaller reporting company as defined by Rule 12b-2 of the Exchange Act "
            "and are not "
            "required to provide the information under this item."
        ),
        ("Item 1A. Risk Factors\nNot required for smaller reporting companies."),
        (
            "Item 1A. Risk Factors\n"
            "As a smaller reporting company, the registrant is not required to provide this "
            "information."
        ),
    ),
    BY_REFERENCE: (
        (
            "Item 1A. Risk Factors\n"
            "The information required by this item is incorporated by reference to the "
            'section "Risk Factors" '
            "of our Annual Report to Shareholders."
        ),
        (
            "ITEM 1A. RISK FACTORS\n"
            'See "Risk Factors" in Management\'s Discussion and Analysis in Exhibit 13, '
            "which is incorporated "
            "herein by reference."
        ),
    ),
    NOT_APPLICABLE: (
        ("Item 1A. Risk Factors\nNot applicable."),
        ("ITEM 1A. RISK FACTORS\nNone."),
        ("Item 1A. Risk Factors\nN/A"),
    ),
    TOO_SHORT: (
        (
            "Item 1A. Risk Factors\n"
            "The trust has no employees and no operations of its own. Its only assets are "
            "receivables, and a "
            "decline in their value could reduce the payments on the certificates."
        ),
    ),
    NO_CHANGES: (
        (
            "Item 1A. Risk Factors\n"
            "There have been no material changes from the risk factors disclosed in our "
            "Annual Report on Form "
            "10-K."
        ),
        (
            "ITEM 1A.\n"
            "RISK FACTORS\n"
            "There have not been any material changes to the risk factors in our most recent "
            "Form 10-K."
        ),
    ),
}


def section(draw: Draw, kind: str) -> str:
    """Return the text of such a filing's Item 1A."""
    return draw.of(_TEXTS[kind])
