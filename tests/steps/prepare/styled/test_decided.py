"""Where a row has the section's HTML, its type decides the headings; its text is never used."""

from typing import Any

import pyarrow as pa
import pytest

from steps.prepare.filings import examination, judge
from steps.prepare.styled import decided, paragraph_type
from steps.prepare.styled.html_lines import lines, written
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.styled import BODIES, SENTENCES, TOPICS

TWO_SENTENCES = [sentence for sentence in SENTENCES if sentence.count(". ")]


def body(number: int) -> str:
    return "".join(f"<p>{line}</p>" for line in BODIES[number].split("\n"))


RUN_IN = "".join(f"<p><i>{SENTENCES[n]}</i> {BODIES[n]}</p>" for n in range(10))
STANDING = "".join(f"<p><b>{SENTENCES[n]}</b></p>{body(n)}" for n in range(10))
GROUPED = f"<p><b><u>{TOPICS[0]}</u></b></p>{STANDING}"
SECTION = "\n".join(BODIES)
PLAIN = "".join(f"<p>{SENTENCES[n]}</p>{body(n)}" for n in range(10))


def text_of(html: str) -> str:
    return "\n".join(line.text for line in lines(html))


def examined(*rows: tuple[str, str | None]) -> list[dict[str, Any]]:
    """Return what `examine` makes of sections and their HTML."""
    given = [
        fakes.filing(1001 + at, 2021, item_1a=text) | {decided.COLUMN: html}
        for at, (text, html) in enumerate(rows)
    ]
    found: list[dict[str, Any]] = examination.examine(pa.RecordBatch.from_pylist(given)).to_pylist()
    return found


def headings(filing: dict[str, Any]) -> list[str]:
    return [factor["heading"] for factor in filing["risk_factors"]]


def test_the_type_decides_where_the_text_alone_does_not() -> None:
    without, with_type = examined((text_of(RUN_IN), None), (text_of(RUN_IN), RUN_IN))
    assert headings(without) != list(SENTENCES)
    assert headings(with_type) == list(SENTENCES)
    assert [factor["body"] for factor in with_type["risk_factors"]] == [
        text.replace("\n", " ") for text in BODIES
    ]
    assert with_type["ignored"] is None


def test_a_run_in_heading_of_two_sentences_is_whole() -> None:
    assert TWO_SENTENCES
    (filing,) = examined((text_of(RUN_IN), RUN_IN))
    assert set(TWO_SENTENCES) <= set(headings(filing))


def test_a_title_in_another_type_is_the_group_of_what_follows() -> None:
    parts = [f"<p><b>{SENTENCES[n]}</b></p>{body(n)}" for n in range(10)]
    for place in (0, 4):
        parts[place] = f"<p><b><u>{TOPICS[place]}</u></b></p>{parts[place]}"
    (filing,) = examined((text_of("".join(parts)), "".join(parts)))
    assert headings(filing) == list(SENTENCES)
    groups = [factor["group"] for factor in filing["risk_factors"]]
    assert groups == [TOPICS[0]] * 4 + [TOPICS[4]] * 6


@pytest.mark.parametrize(
    "title",
    [
        "Risk Factor Summary", "Summary of Risk Factors", "Special Note Regarding Forward-Looking",
        "CAUTIONARY STATEMENT REGARDING FORWARD-LOOKING STATEMENTS", "Forward-Looking Statements",
    ],
)  # fmt: skip
def test_a_summary_or_a_notice_in_the_type_of_headings_is_none(title: str) -> None:
    html = f"<p><b>{title}</b></p><p>Our business is subject to many risks.</p>{STANDING}"
    (filing,) = examined((text_of(html), html))
    assert headings(filing) == list(SENTENCES)


def test_rows_with_and_without_html_keep_their_order() -> None:
    pairs = [(RUN_IN, True), (STANDING, False), (GROUPED, True), (STANDING, True), (RUN_IN, False)]
    together = examined(*((text_of(html), html if given else None) for html, given in pairs))
    alone = [examined((text_of(html), html if given else None))[0] for html, given in pairs]
    names = ("risk_factors", "section_sha256", "ignored", "reason")
    assert [[filing[name] for name in names] for filing in together] == [
        [filing[name] for name in names] for filing in alone
    ]


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        (f"<p><b>Other</b></p>{body(3)}", decided.OF_ANOTHER_TEXT),
        ("", decided.OF_ANOTHER_TEXT),
        ("<<<p <b>", decided.OF_ANOTHER_TEXT),
        (STANDING[: len(STANDING) // 2], decided.OF_ANOTHER_TEXT),
        (PLAIN, decided.NO_HEADINGS_BY_TYPE),
        (f"<b>{PLAIN}</b>", decided.NO_HEADINGS_BY_TYPE),
        (" " * 40_000_001, decided.TOO_LONG),
        (f"{STANDING}<![like[word]]>", decided.UNREADABLE),
        (f"{STANDING}<!-- {'never closed ' * 6000}", decided.UNREADABLE),
    ],
    ids=[
        *("another text", "empty", "broken", "half", "no type", "all bold", "too long"),
        *("unknown declaration", "never closed"),
    ],
)
def test_html_that_decides_nothing_is_counted_and_changes_nothing(html: str, fault: str) -> None:
    text = text_of(STANDING)
    without, with_html = examined((text, None), (text, html))
    assert with_html["risk_factors"] == without["risk_factors"]
    assert with_html["ignored"] == fault


@pytest.mark.parametrize(
    ("texts", "looked_for"),
    [([BODIES[5]] * 1000, 51), ([*[f"no {n}" for n in range(1000)], SECTION * 20], 201)],
    ids=["by letters", "by paragraphs"],
)
def test_html_of_another_text_is_given_up_before_each_paragraph_was_looked_for(
    texts: list[str], looked_for: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look = paragraph_type._found
    monkeypatch.setattr(
        paragraph_type, "_found", lambda own, *where: (looked.append(own), look(own, *where))[1]
    )
    assert paragraph_type.typed(texts, lines(STANDING[: len(STANDING) // 2])) is None
    assert len(looked) == looked_for


def test_a_fault_is_added_to_those_of_other_fields() -> None:
    row = fakes.filing(1001, 2021, item_1a=text_of(STANDING)) | {"sic": "x", decided.COLUMN: ""}
    found = examination.examine(pa.RecordBatch.from_pylist([row])).to_pylist()[0]
    assert found["ignored"] == f"sic: 1 to 4 digits expected; {decided.OF_ANOTHER_TEXT}"


def test_no_character_of_an_example_is_of_the_html() -> None:
    hidden = STANDING.replace("<p><b>", "<p>Mallory<b>", 1) + "<p>Mallory wrote this.</p>"
    (filing,) = examined((text_of(STANDING), hidden))
    assert headings(filing)[1:] == list(SENTENCES)[1:]
    assert "Mallory" not in str(filing)


def test_page_furniture_in_the_html_does_not_matter() -> None:
    half = len(BODIES[1]) // 2
    cut = BODIES[1].index(" ", half)
    pages = STANDING.replace(
        BODIES[1], f"{BODIES[1][:cut]}</p><p>17</p><p>Table of Contents</p><p>{BODIES[1][cut:]}"
    )
    (filing,) = examined((text_of(STANDING), pages))
    assert (headings(filing), filing["ignored"]) == (list(SENTENCES), None)


def test_personal_data_is_replaced_in_headings_by_type_too() -> None:
    html = STANDING.replace(SENTENCES[0], "Write to jane.doe@example.com about risks of ours.")
    row = fakes.filing(1001, 2021, item_1a=text_of(html)) | {decided.COLUMN: html}
    rows = judge.kernel(pa.RecordBatch.from_pylist([row]))
    assert "Write to [EMAIL] about risks of ours." in rows["completion"].to_pylist()
    assert "jane.doe" not in str(rows.to_pylist())


def test_a_table_without_the_column_is_judged_as_before() -> None:
    row = fakes.filing(1001, 2021, item_1a=text_of(STANDING))
    without = examination.examine(pa.RecordBatch.from_pylist([row]))
    with_null = examination.examine(pa.RecordBatch.from_pylist([row | {decided.COLUMN: None}]))
    assert without.equals(with_null)


@pytest.mark.parametrize("html", [RUN_IN, STANDING, GROUPED, "<p>a &amp; b &lt;c&gt; <u>d</u></p>"])
def test_written_lines_are_read_as_the_same_lines(html: str) -> None:
    found = lines(f"<center>Risk <b>Fac<i>tors</i></b></center>{html}")
    assert lines(written(found)) == found


def test_elements_that_are_never_closed_change_nothing() -> None:
    """Old filings close no paragraph. An end tag looks among the last open ones only."""
    unclosed = "<p><font>" * 2000 + STANDING.replace("</p>", "")
    (filing,) = examined((text_of(STANDING), unclosed))
    assert (headings(filing), filing["ignored"]) == (list(SENTENCES), None)


def test_a_long_style_is_read_from_its_beginning() -> None:
    html = STANDING.replace("<b>", f"<span style='font-weight:bold;{'x:y;' * 1000}'>")
    (filing,) = examined((text_of(STANDING), html.replace("</b>", "</span>")))
    assert (headings(filing), filing["ignored"]) == (list(SENTENCES), None)
