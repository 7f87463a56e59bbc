"""Lines that were broken because of their length are joined; other line ends stay."""

from textwrap import fill

import polars as pl
import pytest

from steps.prepare.text.wrapped import unwrapped

PARAGRAPHS = (
    "Item 1A. Risk Factors",
    (
        "We depend on three retailers, and the loss of one of them could harm our revenue and the "
        "price of our stock."
    ),
    (
        "Three retailers bought most of our tools. None of them must buy again. Each of them can "
        "change its orders, in Ohio too."
    ),
    (
        "A breach of our systems may expose us to claims, to fines under State and Federal laws, "
        "and harm our reputation."
    ),
    (
        "Hackers have tried to enter our systems. Some of them worked for States. We cannot know "
        "that all of them failed to do so."
    ),
)


def join(text: str) -> list[str]:
    joined = str(pl.DataFrame({"text": [text]}).select(unwrapped(pl.col("text"))).item())
    return [line.strip() for line in joined.split("\n") if line.strip()]


@pytest.mark.parametrize("width", [60, 66, 72, 80])
@pytest.mark.parametrize("between", ["\n\n", "\n\n\n", "\n  \n"])
@pytest.mark.parametrize(("first", "other"), [("", ""), ("     ", ""), ("    ", "    ")])
def test_a_paragraph_is_one_line(width: int, between: str, first: str, other: str) -> None:
    text = between.join(
        fill(entry, width, initial_indent=first, subsequent_indent=other) for entry in PARAGRAPHS
    )
    assert join(text) == list(PARAGRAPHS)


def test_indented_paragraphs_without_a_blank_line_between_them_stay_apart() -> None:
    filled = [fill(entry, 70, initial_indent="     ") for entry in PARAGRAPHS]
    assert join("\n\n".join([*filled[:3], "\n".join(filled[3:])])) == list(PARAGRAPHS)


def test_list_items_and_page_numbers_keep_their_lines() -> None:
    items = [
        fill(f"- the cost of {name} may rise, which would reduce our margins and harm us", 60)
        for name in ("steel", "oil")
    ]
    text = (
        "\n\n".join(fill(entry, 60) for entry in PARAGRAPHS[:3])
        + "\n\nAmong them:\n"
        + "\n".join(items)
    )
    assert join(text)[-2:] == [item.replace("\n", " ") for item in items]
    page = fill(PARAGRAPHS[2], 60).replace("\n", "\n                    -12-\n", 1)
    assert "-12-" in join(f"{page}\n\n{fill(PARAGRAPHS[4], 60)}")


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("the manufac-\nturing of tools is costly", "the manufacturing of tools is costly"),
        ("our long-\nterm debt, for a long time", "our long-term debt, for a long time"),
        ("no-\nbody knows, and nobody will", "nobody knows, and nobody will"),
    ],
)
def test_a_broken_word_is_whole_again(broken: str, whole: str) -> None:
    text = "\n\n".join(
        [
            *(fill(entry, 70) for entry in PARAGRAPHS),
            f"This is about the question of {broken} in the end.",
        ]
    )
    assert join(text)[-1] == f"This is about the question of {whole} in the end."


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(PARAGRAPHS),
        "\n\n".join(PARAGRAPHS),
        fill(" ".join(PARAGRAPHS), 70),
        "A heading\nA short line\n\nAnother one\nAnd one more",
        "",
    ],
)
def test_text_that_is_not_hard_wrapped_or_has_no_blank_lines_stays(text: str) -> None:
    assert pl.DataFrame({"text": [text]}).select(unwrapped(pl.col("text"))).item() == text
