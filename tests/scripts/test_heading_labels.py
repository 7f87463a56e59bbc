"""Labels come from the type of a filing's HTML: each rule on a small invented filing."""

import pytest

from scripts.heading_model import labels
from scripts.heading_model.section_of_filing import section
from steps.prepare.styled.html_lines import BOLD, CENTRED, ITALIC, UNDERLINE, lines
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE
from tests.steps.prepare.support.styled import BODIES, SENTENCES, TOPICS

ITEM = "<p><b>Item 1A. Risk Factors</b></p>"


def kinds(html: str) -> list[tuple[str, str]]:
    """Return the kind and the heading of every paragraph that is not body text."""
    found = labels.labelled(lines(ITEM + html))
    return [(one.kind, one.heading or one.paragraph) for one in found if one.kind != BODY]


def body(number: int) -> str:
    return "".join(f"<p>{line}</p>" for line in BODIES[number].split("\n"))


def standing(number: int, tag: str = "b") -> str:
    return f"<p><{tag}>{SENTENCES[number]}</{tag}></p>{body(number)}"


def run_in(number: int, tag: str = "i") -> str:
    return f"<p><{tag}>{SENTENCES[number]}</{tag}> {BODIES[number]}</p>"


def title(number: int) -> str:
    return f"<p align=center><b>{TOPICS[number]}</b></p>"


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        ("<p><b>x</b></p>", BOLD),
        ("<p><strong><em>x</em></strong></p>", BOLD | ITALIC),
        ('<div style="font-weight:700"><u>x</u></div>', BOLD | UNDERLINE),
        ('<b><span style="font-weight:400">x</span></b>', 0),
        ('<span style="font-style:italic; text-decoration : underline">x</span>', 6),
        ('<p align="center">x</p>', CENTRED),
        ('<p style="text-align:center"><font style="FONT-WEIGHT: Bold">x</font></p>', 9),
        ("<h3>x</h3>", BOLD),
    ],
)
def test_a_letter_has_the_type_of_its_tags_and_styles(html: str, kind: int) -> None:
    assert [list(line.types) for line in lines(html)] == [[kind]]


def test_lines_end_at_blocks_and_breaks_and_rows_and_spaces_are_single() -> None:
    html = (
        "<head><title>no</title></head><ix:header>no</ix:header><div style='display: none'>no</div>"
        "<p>one\n  two</p>three<br>four<table><tr><td>&#8226;</td><td>five&nbsp;six</td></tr>"
        "<tr><td>1</td><td>2</td><td>3</td><td>4</td></tr></table>"
    )
    assert [line.text for line in lines(html)] == ["one two", "three", "four", "• five six"]


def test_a_word_may_be_in_two_types() -> None:
    (line,) = lines("<p><b>Ris</b>ks <b>we</b></p>")
    assert (line.text, list(line.types)) == ("Risks we", [1, 1, 1, 0, 0, 0, 1, 1])


def test_the_section_is_the_longest_behind_the_items_title() -> None:
    contents = "<p>Item 1A. Risk Factors 9</p><p>Item 1B. Unresolved Staff Comments 20</p>"
    text = contents + ITEM + standing(0) * 15 + "<p><b>Item 1B. Unresolved</b></p><p>None.</p>"
    found = section(lines(text))
    assert found[0].text == "Item 1A. Risk Factors"
    assert found[-1].text == BODIES[0].split("\n")[-1]


def test_a_short_section_is_none() -> None:
    assert section(lines(f"{ITEM}<p>Not applicable.</p><p>Item 2. Properties</p>")) == []


def test_a_whole_line_in_bold_is_a_heading() -> None:
    assert kinds("".join(map(standing, range(5)))) == [
        (STANDING, sentence) for sentence in SENTENCES[:5]
    ]


def test_an_emphasised_opening_that_ends_a_sentence_is_a_heading() -> None:
    assert kinds("".join(run_in(number) for number in range(5))) == [
        (RUN_IN, sentence) for sentence in SENTENCES[:5]
    ]


def test_an_emphasised_opening_that_ends_nothing_is_body_text() -> None:
    term = "<p><i>The Acme trade mark</i> is ours, and others may copy it in many countries.</p>"
    assert kinds("".join(map(standing, range(5))) + term) == [
        (STANDING, sentence) for sentence in SENTENCES[:5]
    ]


def test_a_type_above_other_headings_is_of_titles() -> None:
    factors = [f"{title(n)}{standing(n, 'i')}{standing(n + 1, 'i')}" for n in (0, 2, 4)]
    found = kinds("".join(factors))
    assert [kind for kind, _ in found] == [TITLE, STANDING, STANDING] * 3


def test_a_whole_line_above_headings_that_are_run_in_is_a_title() -> None:
    html = "".join(f"{title(n)}{run_in(n)}{run_in(n + 1)}" for n in (0, 2, 4))
    assert [kind for kind, _ in kinds(html)] == [TITLE, RUN_IN, RUN_IN] * 3


def test_risks_related_to_something_is_a_title_in_any_type() -> None:
    group = "<p><b>Risks Related to Our Common Stock</b></p><p>What follows is for holders.</p>"
    found = kinds("".join(map(standing, range(3))) + group + standing(3) + standing(4))
    assert [kind for kind, _ in found] == [STANDING] * 3 + [TITLE] + [STANDING] * 2


def test_leads_of_a_list_are_no_headings_where_other_paragraphs_have_them() -> None:
    items = "".join(f"<p>• {run_in(number)[3:]}" for number in range(5, 8))
    found = kinds("".join(map(standing, range(5))) + items)
    assert [heading for _, heading in found] == list(SENTENCES[:5])


def test_few_leads_beside_many_whole_lines_are_part_of_a_body() -> None:
    found = kinds("".join(map(standing, range(9))) + run_in(9))
    assert [heading for _, heading in found] == list(SENTENCES[:9])


def test_a_heading_that_a_summary_repeats_is_one_heading() -> None:
    summary = "".join(f"<p><b>{sentence}</b></p><p>See below.</p>" for sentence in SENTENCES[:2])
    found = kinds(summary + "".join(map(standing, range(5))))
    assert [heading for _, heading in found] == list(SENTENCES[:5])


@pytest.mark.parametrize(
    "html",
    [
        "".join(map(body, range(10))),
        standing(0) + standing(1),
        "".join(map(standing, range(4))) + "".join(map(body, range(10))) * 3,
        "".join(f"<p><b>{sentence}</b></p>" for sentence in SENTENCES) + body(0),
    ],
    ids=["no type", "too few headings", "too much text", "headings without text"],
)
def test_a_section_whose_type_is_not_of_headings_is_left_out(html: str) -> None:
    assert labels.labelled(lines(ITEM + html)) == []


def test_a_section_in_bold_has_its_headings_in_what_is_not() -> None:
    text = "".join(
        f"<p><i>{SENTENCES[number]}</i></p><p>{BODIES[number]}</p>" for number in range(5)
    )
    assert kinds(f"<div style='font-weight:bold'>{text}</div>") == [
        (STANDING, sentence) for sentence in SENTENCES[:5]
    ]
