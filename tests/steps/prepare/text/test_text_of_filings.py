"""docs/data.md, "Text as filings have it": every row of its table is executed."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

import pyarrow as pa
import pytest

from steps.prepare.filings import examination, examples
from tests.steps.prepare.support import fakes

DOCS = Path(__file__).resolve().parents[4] / "docs" / "data.md"
FIRST = "We depend on three retailers, and the loss of one of them could harm our revenue."
SECOND = "A breach of our systems may expose us to claims and harm our reputation."
BODY = (
    "Three retailers bought most of our tools last year, and none of them must buy again. "
    "Each of them can change its orders at "
    "any time, and we would then hold stock that nobody wants. Our margins would fall, and we "
    "could not cover our costs."
)
OTHER = BODY.replace("tools", "saws").replace("retailers", "wholesalers")
ITEM = "Item 1A. Risk Factors"
SECTION = f"{ITEM}\n{FIRST}\n{BODY}\n{SECOND}\n{OTHER}"
NOTICE = (
    "there have been no material changes to the risk factors that we disclosed in our "
    "Annual Report on Form 10-K."
)


LEADS_TO_A_NOTICE = (
    "You should carefully consider the factors discussed in our Annual Report on Form 10-K, "
    "which could materially affect our "
    "business. The risks described there are not the only risks that we face. Risks not "
    "currently known to us may also harm us."
)


def wrapped(*paragraphs: str, between: str = "\n\n") -> str:
    return between.join(fill(paragraph, 70) for paragraph in paragraphs)


@dataclass(frozen=True)
class Case:
    """A filing, what its examples hold and do not hold, and how many there are."""

    section: str
    holds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    usable: int = 2
    fields: dict[str, str] = field(default_factory=dict)


def apostrophe(sign: str) -> str:
    return SECTION.replace("of our systems", f"of Acme{sign}s systems")


REPAIRED = ("A breach of Acme’s systems",)
LATER = (
    "Item 1B. Unresolved Staff Comments\nNone.\nItem 2. Properties\n"
    "We own a plant of 20,000 square feet."
)
HARD = wrapped(ITEM, FIRST, BODY, SECOND, OTHER)
CASES: dict[str, list[Case]] = {
    "HTML entities: `&#146;`, `&#8217;`, `&#x2019;`, `&rsquo;`, `&nbsp;`, `&amp;`": [
        *(Case(apostrophe(sign), REPAIRED, ("&",)) for sign in ("&#146;", "&#8217;", "&#x2019;",
            "&rsquo;", "&#146", "&RSQUO;")),
        Case(SECTION.replace("Item 1A. ", "Item&nbsp;1A.&nbsp;").replace("tools", "R&amp;D tools"),
            ("R&D tools",), ("&nbsp",)),
        Case(SECTION, ("from the 10-K of Smith & Sons for",), ("&amp;",),
            fields={"company": "Smith &amp; Sons"}),
    ],
    "Entities that were escaped again: `&amp;#8217;`, `&amp;amp;`": [
        Case(apostrophe("&amp;#8217;"), REPAIRED, ("&",)),
        Case(apostrophe("&amp;amp;rsquo;"), REPAIRED, ("&",)),
    ],
    "Windows-1252 as control characters: U+0092, U+0093": [Case(apostrophe("\u0092"), REPAIRED)],
    "UTF-8 read as Windows-1252 or Latin-1, once or more: `â€™`, `Ã©`, `Â§`, `Ã¢â‚¬â„¢`": [
        *(Case(apostrophe(sign), REPAIRED, ("â", "Ã")) for sign in ("â€™", "â\u0080\u0099",
            "Ã¢â‚¬â„¢", "Â’")),
        Case(apostrophe("&#226;&#128;&#153;"), REPAIRED, ("â",)),
        Case(SECTION, ("of Société Générale for",), fields={"company": "SociÃ©tÃ© GÃ©nÃ©rale"}),
    ],
    "The same letters in real words: `château`, `Peña`, `AT&T`, `R&D;`, `a < b`": [
        Case(SECTION.replace("tools", f"{word} tools"), (f"{word} tools",))
        for word in ("château", "Peña", "AT&T", "R&D;", "x < y and y > z,", "CAFÉ™", "IRMÃ",
            "« déjà »", "<Company>")
    ],
    "A character that cannot be known any more: U+FFFD, an unassigned byte": [
        Case(SECTION.replace("saws", sign), (FIRST,), (SECOND,), usable=1) for sign in ("\ufffd",
            "sa\u0081ws", "ï¿½", "&#0;")
    ],
    "Such a character in `company` or `filename`": [
        Case(SECTION, usable=0, fields={"company": "Acm\ufffd"}),
        Case(SECTION, usable=0, fields={"filename": "a\ufffd.htm"}),
    ],
    "Tags of HTML, of EDGAR's text files (`<PAGE>`) and of inline XBRL (`<ix:nonNumeric …>`)": [
        Case(f"<p style=\"margin:0\">{SECTION.replace(chr(10), '</p><p>')}</p>", (FIRST,),
            ("<p", "style")),
        Case(SECTION.replace("tools", '<ix:nonNumeric name="a:b">tools</ix:nonNumeric>'),
            ("our tools",), ("ix:",)),
        Case(SECTION.replace(SECOND, f"<PAGE>\n{SECOND}").replace("tools", "<b>to</b>ols"),
            ("our tools",), ("<",)),
    ],
    "A tag that is not whole, inside the text": [
        Case(SECTION.replace("tools", '<font style="color tools'), usable=0),
        Case(SECTION.replace("tools", "<ix:nonNumeric name tools"), usable=0),
    ],
    "A section that runs on into the next item's title": [
        Case(f"{SECTION}\n{LATER}", (), ("20,000", "Unresolved")),
        Case(f"{SECTION}\n{LATER.upper()}", (), ("20,000", "UNRESOLVED")),
        Case(f"{SECTION}\nPART II\nItem\u00a05 — Market for Our Stock\nOur stock is traded.", (),
            ("traded", "Market")),
        Case(f"{SECTION}\nItem 2.\nProperties\nWe own a plant.", (), ("plant", "Item 2")),
        Case(f"{SECTION} Item 1B. Unresolved Staff Comments", (), ("Unresolved",)),
    ],
    "A sentence that refers to \"Item 2\"; a table of contents before the section": [
        Case(SECTION.replace("Each of", "See Item 2. Properties. Each of"),
            ("See Item 2. Properties.",)),
        Case(SECTION.replace("Our margins", "See\nItem 2. Properties\nof this report. Our margins"),
            ("of this report",)),
        Case(f"{ITEM}\nItem 1B. Unresolved Staff Comments\nItem 2. Properties\n"
             f"Item 3. Legal Proceedings\n{SECTION}", (FIRST,)),
        Case(f"{ITEM} 9\nItem 1B. Unresolved Staff Comments 20\nItem 2. Properties 21\n{SECTION}",
            (FIRST,)),
    ],
    "A notice followed by risk factors (\"except as set forth below\", \"in addition to the "
    "factors in our Form 10-K\")": [
        Case(f"{ITEM}\n{words} {NOTICE}\n{FIRST}\n{BODY}\n{SECOND}\n{OTHER}", (FIRST,))
        for words in ("Except as set forth below,", "Other than as follows,",
            "Except for the risk factors described below,")
    ] + [
        Case(SECTION.replace(FIRST, "In addition to the factors incorporated by reference, "
                                    f"consider these:\n{FIRST}"), (FIRST,)),
        Case(SECTION.replace("tools last",
            "tools. None is new. It is not applicable to us. There are no material changes last")),
        Case(f"{ITEM}\nNone of our customers must buy again.\n{FIRST}\n{BODY}\n{SECOND}\n{OTHER}"),
    ],
    "A section that ends with its notice": [
        Case(f"{ITEM}\nExcept as set forth below, {NOTICE}", usable=0),
        Case(f"{ITEM}\n{LEADS_TO_A_NOTICE} In this quarter {NOTICE}", usable=0),
    ],
    "Lines broken at 60 to 80 characters, a blank line between paragraphs": [
        Case(HARD, (FIRST, BODY, SECOND, OTHER)),
        Case(HARD.replace("\n", "\r\n"), (BODY, OTHER)),
        Case(HARD.replace("\n", "\r"), (BODY, OTHER)),
        Case(HARD.replace("\nany time", "\n\x0cany time").replace("\nEach", "\n\x0cEach"),
            (BODY, OTHER)),
        Case(HARD.replace("\n\n", "\n\n     "), (BODY, OTHER)),
        Case(f"{HARD}\n\n{fill('The plant is described in Part I of this report, in', 62)}\n"
             "Item 2. Properties", (BODY,)),
    ],
    "A word broken by a hyphen at such a line's end": [
        Case(HARD.replace("nobody wants", "no-\nbody wants"), ("nobody wants",), ("no- ", "no-b")),
        Case(HARD.replace("last\nyear", "last year").replace("any time",
            "any long-\nterm time in the long run"), ("long-term",)),
    ],
    "Lines without blank lines between them": [Case(SECTION, (BODY, OTHER))],
}  # fmt: skip


def run(case: Case) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the usable examples, and every reason given."""
    row = fakes.filing(1001, 2021, item_1a=case.section) | case.fields
    judged = examination.examine(pa.RecordBatch.from_pylist([row], schema=fakes.RAW_SCHEMA))
    kept = judged.filter(pa.compute.is_null(judged["reason"]))
    made = examples.write(kept).to_pylist()
    reasons = {found["reason"] for found in (*judged.to_pylist(), *made)} - {None}
    return [found for found in made if found["reason"] is None], reasons


def table() -> dict[str, str]:
    """Return the table of the page: form -> reason."""
    page = DOCS.read_text(encoding="utf-8").split("## Text as filings have it")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| .+ \| (.+?) \|$", page, re.MULTILINE)
    return {form: reason for form, reason in rows if form != "form met"}


def test_every_row_of_the_page_is_run_and_every_case_is_on_the_page() -> None:
    assert list(table()) == list(CASES)


@pytest.mark.parametrize(
    ("form", "case"),
    [(form, case) for form, cases in CASES.items() for case in cases],
    ids=[f"{form[:40]}-{number}" for form, cases in CASES.items() for number in range(len(cases))],
)
def test_each_form_of_text_on_the_page_gives_the_documented_result(form: str, case: Case) -> None:
    made, reasons = run(case)
    text = "\n".join(f"{example['prompt']}\n{example['completion']}" for example in made)
    assert {f"`{reason}`" for reason in reasons} == set(re.findall(r"`\w+`", table()[form]))
    assert [part for part in case.holds if part not in text] == []
    assert [part for part in case.lacks if part in text] == []
    assert len(made) == case.usable


def test_what_was_cut_off_is_in_the_rejected_table_with_its_title_and_length() -> None:
    row = fakes.filing(1001, 2021, item_1a=f"{SECTION}\n{LATER}")
    made = examples.write(
        examination.examine(pa.RecordBatch.from_pylist([row], schema=fakes.RAW_SCHEMA))
    ).to_pylist()
    (left_out,) = [found for found in made if found["reason"] == "later_items"]
    assert left_out["detail"] == f"{' '.join(LATER.split())[:60]} … ({len(LATER)} characters)"


def test_a_rejected_filing_names_what_was_cut_off_in_its_detail() -> None:
    row = fakes.filing(1001, 2021, item_1a=f"{ITEM}\nNot applicable.\n{LATER}")
    (judged,) = examination.examine(
        pa.RecordBatch.from_pylist([row], schema=fakes.RAW_SCHEMA)
    ).to_pylist()
    assert judged["reason"] == "no_risk_factors"
    assert judged["detail"].startswith("without Item 1B. Unresolved Staff Comments None.")
