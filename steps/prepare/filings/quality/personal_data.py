"""Personal data in examples: each kind is found by one named pattern and replaced by a placeholder.

    texts, items = scrubbed(bodies, KINDS["email"])     # two series, one value a body

Pure polars expressions. A kind's pattern runs only over texts that have one of its literal signs
or its digits, which are much faster to look for. Companies, their filings' file numbers and CUSIPs
are public and stay. `tests/steps/prepare/filings/quality/test_personal_data.py` measures recall and
precision on a labelled sample.
"""

from dataclasses import dataclass

import polars as pl

# What may not be before a number: it would be a part of a longer number, an amount or a code.
_NUMBER_STARTS = r"(^|[^0-9A-Za-z$€£#.,/_-])"
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ"
    "|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|PR"
    "|California|Texas|New York|Florida|Massachusetts|Illinois|Washington|Colorado|Virginia"
)
_GAP = r"[ .\u2010-\u2013-]"  # between the groups of a number
_NAME = r"[A-Z][A-Za-z'’-]*\.?"
_ORDINAL = r"[0-9]{1,3}(?:st|nd|rd|th)"
_SIDE = r"(?:(?:North|South|East|West|N|S|E|W|NE|NW|SE|SW)\.? )?"
_STREET_NAME = rf"{_SIDE}(?:{_NAME}|{_ORDINAL})(?: {_NAME}){{0,3}}?"
_STREET = (
    r"(?:Street|Avenue|Road|Boulevard|Lane|Parkway|Highway"
    r"|(?:St|Ave|Rd|Blvd|Pkwy|Hwy|Ln)\b\.?)"
)
_ANY_STREET = (
    rf"(?:{_STREET}|Drive|Court|Place|Way|Circle|Terrace|Plaza|Square|Trail|Loop"
    r"|(?:Dr|Ct|Pl)\b\.?)"
)
_ROOM = (
    r"(?:,? (?:Suite|Ste\.?|Floor|Unit|Room|Building|Apt\.?|#) ?[A-Z0-9-]{1,6}"
    r"|,? [0-9]{1,2}(?:st|nd|rd|th) Floor)"
)
_ZIP = r"[0-9]{5}(?:-[0-9]{4})?"
_TOWN = rf"(?:,? {_NAME}(?: {_NAME}){{0,2}},? (?:{_STATES})(?:,? {_ZIP})?)"
# A number of a house, alone: not a year, nor one digit ("the 7 Wall Street analysts").
_HOUSE = r"(?:[1-9][0-9]{1,2}|1[0-8][0-9]{2}|2[1-9][0-9]{2}|[3-9][0-9]{3}|[1-9][0-9]{4})[A-Z]?"
_ANY_HOUSE = r"(?:[1-9][0-9]{0,4}[A-Z]?|One|Two|Three|Four|Five|Ten)"


@dataclass(frozen=True)
class Kind:
    """One kind of personal data.

    `pattern` keeps its first group, the sign before, and all else becomes `placeholder`. It runs
    over texts in which `sign` is found, a pattern of few characters.
    """

    pattern: str
    placeholder: str
    sign: str


KINDS = {
    "email": Kind(
        r"(^|[^A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@"
        r"[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}",
        "[EMAIL]",
        "@",
    ),
    "social_security": Kind(
        # Area 000, 666 and 9xx are never issued, nor is group 00 or serial 0000 (SSA, RM 10201)
        rf"{_NUMBER_STARTS}(?:00[1-9]|0[1-9][0-9]|[1-57-8][0-9]{{2}}|6[0-57-9][0-9]|66[0-57-9])"
        r"-(?:0[1-9]|[1-9][0-9])-(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})(?-u:\b)",
        "[SSN]",
        r"[0-9]-[0-9]{2}-[0-9]",
    ),
    "employer_id": Kind(
        rf"{_NUMBER_STARTS}[0-9]{{2}}-[0-9]{{7}}(?-u:\b)", "[EIN]", r"[0-9]-[0-9]{7}"
    ),
    "phone": Kind(
        rf"{_NUMBER_STARTS}(?:(?:\+?1{_GAP})?(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}{_GAP})"
        rf"[2-9][0-9]{{2}}{_GAP}[0-9]{{4}}(?-u:\b)(?:,? (?:ext\.?|x|extension) ?[0-9]{{1,5}})?"
        r"|\+[2-9][0-9]{0,2}[ -](?:\(?[0-9]{1,4}\)?[ -]?){2,4}[0-9]{2,4}(?-u:\b))",
        "[PHONE]",
        rf"[0-9]{{3}}{_GAP}[0-9]{{4}}|\+[2-9]",
    ),
    "street_address": Kind(
        rf"{_NUMBER_STARTS}(?:{_HOUSE} {_STREET_NAME} {_STREET}(?:{_ROOM})*(?:{_TOWN})?"
        rf"|{_ANY_HOUSE} {_STREET_NAME} {_ANY_STREET}(?:(?:{_ROOM})+(?:{_TOWN})?|{_TOWN})"
        rf"|P\.? ?O\.? Box [0-9]{{1,6}}(?:{_TOWN})?)",
        "[ADDRESS]",
        " Street| St[. ,]| St$| Ave| Road| Rd[. ,]| Boulevard| Blvd| Lane| Ln[. ,]| Parkway| Pkwy"
        "| Highway| Hwy| Drive| Dr[. ,]| Court| Ct[. ,]| Place| Pl[. ,]| Way| Circle| Terrace"
        "| Plaza| Square| Trail| Loop|Box",
    ),
    "signature": Kind(
        rf"(/[sS]/:?)\s*{_NAME}(?:,? {_NAME}){{0,4}}(?: (?:Jr|Sr|II|III|IV)\b\.?)?",
        " [NAME]",
        r"/[sS]/",
    ),
}


def scrubbed(texts: pl.Series, kind: Kind) -> tuple[pl.Series, pl.Series]:
    """Return the texts with each item of this kind replaced, and how many there were of each."""
    none = pl.repeat(0, len(texts), dtype=pl.Int32, eager=True)
    found = texts.str.contains(kind.sign).fill_null(value=False).arg_true()
    if not len(found):
        return texts, none
    some = texts.gather(found).to_frame("text")
    done = some.select(text=replaced(kind), items=count(kind))
    return texts.clone().scatter(found, done["text"]), none.scatter(found, done["items"])


def replaced(kind: Kind) -> pl.Expr:
    """Return `text` with the placeholder for each item of this kind."""
    return pl.col("text").str.replace_all(kind.pattern, "${1}" + kind.placeholder)


def count(kind: Kind) -> pl.Expr:
    """Return how many items of this kind `text` has."""
    return pl.col("text").str.count_matches(kind.pattern).cast(pl.Int32)
