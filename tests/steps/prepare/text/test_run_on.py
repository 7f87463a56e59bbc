"""A section ends at the next item's title, and nowhere else."""

import polars as pl
import pytest

from steps.prepare.text.run_on import ended

BODY = "We depend on few customers. " * 30
TITLE = "Item 1A. Risk Factors"


def end(text: str) -> tuple[str, str | None]:
    text, left_out = ended(pl.Series([text])).row(0)
    return text, left_out


@pytest.mark.parametrize(
    "later",
    [
        "Item 1B. Unresolved Staff Comments\nNone.",
        "ITEM 1B: UNRESOLVED STAFF COMMENTS\nNone.",
        "Item 1B\nUnresolved Staff Comments\nNone.",
        "Item 1 B. Unresolved Staff Comments\nNone.",
        "Item 1(b). Unresolved Staff Comments\nNone.",
        "Item 1B.Unresolved Staff Comments.\nNone.",
        "Item 1B. None.",
        "Unresolved Staff Comments\nNone.",
        "ITEM 1C. CYBERSECURITY\nOur board oversees this.",
        "Item 2 — Properties\nWe own a plant.",
        "Item 2. Properties We own a plant in Ohio. It is large.",
        "ITEM 2 - DESCRIPTION OF PROPERTY\nWe own a plant.",
        "Item\n2.\nProperties\nWe own a plant.",
        "Item 2. Properties\n12,000 square feet are ours.",
        "Item 2. Our Facilities\nWe own a plant.",
        "Items 1 and 2. Business and Properties\nWe own a plant.",
        "Items 2 and 3. Properties and Legal Proceedings\nWe own a plant.",
        "Item 2. Unregistered Sales of Equity Securities and Use of Proceeds\nNone.",
        "Item 3.Legal Proceedings\nNone.",
        "Item 3. Defaults Upon Senior Securities.\nNone.",
        "Item 4. (Removed and Reserved)\nNone.",
        "Item 4. [Reserved]\nNone.",
        "Item 4. Mine Safety Disclosures\nNot applicable.",
        "Item 4. Submission of Matters to a Vote of Security Holders.\nNone.",
        "Item 5. Other Information\nNone.",
        "Item 6. Exhibits\nNone.",
        "Part II, Item 2. Unregistered Sales of Equity Securities\nNone.",
        "Item 1.B. Unresolved Staff Comments\nNone.",
        "I tem 1B. Unresolved Staff Comments\nNone.",
        "| Item 2. | Properties |\nWe own a plant.",
        "Item II. Properties\nWe own a plant.",
        (
            "SIGNATURES\nPursuant to the requirements of the Securities Exchange Act of 1934, it "
            "is signed."
        ),
        "1B. Unresolved Staff Comments\nNone.",
        "1B.\nUnresolved Staff Comments\nNone.",
        "1C. Cybersecurity\nOur board oversees this.",
        "2. Properties\nWe own a plant.",
        "3. LEGAL PROCEEDINGS\nNone.",
        "UNRESOLVED STAFF COMMENTS None.",
        "Unresolved Staff Comments: None",
        (
            "PART II\nItem 5. Market for Registrant’s Common Equity, Related Stockholder Matters\n"
            "Our stock is traded."
        ),
    ],
)
def test_the_next_items_title_on_its_own_line_ends_the_section(later: str) -> None:
    for between in ("\n", "\n\n", "\n12\nTable of Contents\n", "\n   "):
        text, left_out = end(
            f"{TITLE}\n{BODY}{between}{later}\nItem 7. Management’s Discussion\nMore."
        )
        assert text.startswith(f"{TITLE}\n{BODY}")
        assert text.removeprefix(f"{TITLE}\n{BODY}").split() in (
            [],
            ["12", "Table", "of", "Contents"],
        )
        assert left_out is not None
        assert left_out.startswith(" ".join(later.split())[:20])


@pytest.mark.parametrize(
    "title",
    [
        "Item 1B. Unresolved Staff Comments",
        "Item 1B.\nUnresolved Staff Comments",
        "ITEM 2. PROPERTIES",
    ],
)
def test_a_title_at_the_end_of_a_line_of_text_ends_the_section(title: str) -> None:
    text, left_out = end(f"{BODY}{title}\nNone.")
    assert text.strip() == BODY.strip()
    assert left_out is not None


@pytest.mark.parametrize(
    "end_of_text",
    [
        "sell.",
        "sell. ",
        "in 2020.",
        "by 5%. ",
        "a loss of $5. ",
        "(see Note 4). ",
        "GAAP. ",
        "the U.S. ",
        "“sell.” ",
    ],
)
@pytest.mark.parametrize(
    "title", ["Item 1B. Unresolved Staff Comments None.", "ITEM 2. PROPERTIES We own a plant."]
)
def test_a_title_inside_a_line_ends_the_section_behind_every_kind_of_sentence(
    end_of_text: str, title: str
) -> None:
    text, left_out = end(
        f"{BODY}We lost what we {end_of_text}{title} Item 3. Legal Proceedings None."
    )
    assert text == f"{BODY}We lost what we {end_of_text}"
    assert left_out is not None
    assert left_out.startswith(title)


@pytest.mark.parametrize(
    "text",
    [
        f"{BODY}Our claims are many. Item 3. Legal Proceedings describes these.\n{BODY}",
        (
            f"{BODY}Our claims are many in 2020.Item 3. Legal Proceedings, in part, describes "
            f"these.\n{BODY}"
        ),
        (
            f"{BODY} as described in\nItem 2. Properties\nItem 3. Legal Proceedings\n"
            f"of this report. {BODY}"
        ),
        f"{BODY} as described in\nItem 3. Legal Proceedings, none of which is new. {BODY}",
        f"{BODY} cf. Item 2. Properties. {BODY}",
        f"{BODY} see Part II. Item 7. Item 8. Financial Statements. {BODY}",
        f"{BODY}\nSignatures may be forged.\n{BODY}",
        f"{BODY}\nItem II of the plan requires money.\n{BODY}",
        f"{BODY}\n1. Plants\n{BODY}\n2. Properties\n{BODY}\n3. Legal Proceedings\n{BODY}",
        f"{BODY}\n2. Properties that we lease may be lost.\n{BODY}",
        f"{BODY}\nUnresolved staff comments could harm our stock price.\n{BODY}",
        f"{BODY}\nsee Item 2. Properties for more. {BODY}",
        f"{BODY} as described in\nItem 2. Properties\nof this report. {BODY}",
        f"{BODY} as described in\nItem 2. Properties\nOur plants are there. {BODY}",
        f"{BODY}\nItem 2. Properties of this report describes our plants. {BODY}",
        f"{BODY}\nItem 7, Management’s Discussion and Analysis, includes more. {BODY}",
        f"{BODY}\nItem 7. Management’s Discussion and Analysis describes our plans.\n{BODY}",
        f"{BODY} See “Item 3. Legal Proceedings.” {BODY}",
        f"{BODY} see Part I. Item 3. Legal Proceedings. {BODY}",
        f"{BODY}\n“Item 3. Legal Proceedings” has more. {BODY}",
        (
            f"{BODY} discussed in Part II,\nItem 7. Management’s Discussion and Analysis\n"
            f"and in the notes. {BODY}"
        ),
        f"{BODY}\nItem 2 of our budget may grow. {BODY}",
        f"{BODY}\nItem 3 of Part I describes our proceedings.\n{BODY}",
        f"{BODY}\nRisks Related to Our Properties\n{BODY}",
        f"{BODY}\nLegal Proceedings\n{BODY}",
        f"{TITLE}\n{BODY}",
    ],
)
def test_a_reference_or_a_group_of_risks_ends_nothing(text: str) -> None:
    assert end(text) == (text, None)


ENTRIES = ("Item 1B. Unresolved Staff Comments", "Item 2. Properties", "Item 3. Legal Proceedings")


@pytest.mark.parametrize("word", ["Item ", ""])
@pytest.mark.parametrize("number", ["", " 12", "\n12", " ........ 12"])
@pytest.mark.parametrize("again", ["", f"{TITLE}\n"])
def test_a_table_of_contents_before_the_section_ends_nothing(
    number: str, again: str, word: str
) -> None:
    contents = "\n".join(f"{entry.replace('Item ', word)}{number}" for entry in (TITLE, *ENTRIES))
    text, left_out = end(f"{contents}\n{again}{BODY}\nItem 1B. Unresolved Staff Comments\nNone.")
    assert BODY in text
    assert "None." not in text
    assert left_out is not None


def test_short_items_in_a_row_are_no_table_of_contents() -> None:
    assert (
        end(
            "Not applicable.\nItem 1B. Unresolved Staff Comments\nNone.\nItem 2. Properties\nNone."
        )[0]
        == "Not applicable.\n"
    )


def test_texts_keep_their_places_and_nulls() -> None:
    cut = f"{BODY}\nItem 1B. Unresolved Staff Comments\nNone."
    found = ended(pl.Series([None, cut, BODY, "", cut], dtype=pl.String))
    assert found["text"].to_list() == [None, f"{BODY}\n", BODY, "", f"{BODY}\n"]
    assert [words is not None for words in found["left_out"]] == [False, True, False, False, True]
