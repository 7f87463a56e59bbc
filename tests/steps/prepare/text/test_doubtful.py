"""Paragraphs in doubt are judged again by trees, and headings run in may have two sentences."""

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.prepare.text import heading_model
from steps.prepare.text.doubtful import lines, second_sentence, trees, words
from steps.prepare.text.heading_sequence import BODY, RUN_IN
from steps.prepare.text.paragraphs import paragraphs
from tests.steps.prepare.support import styled

CERTAIN = {"bias": 90_000, "trees": []}
STUMP = {"bias": -5, "trees": [[[1, 7, 1, 2], [300], [3, -2, 3, 4], [-250], [40]]]}


def scored(style: str) -> pl.DataFrame:
    sections = pl.DataFrame({"row": [0], "text": [styled.section(style)]})
    found = paragraphs(sections.cast({"row": pl.UInt32}))
    model = heading_model._model()
    return heading_model.judged(heading_model.placed(found, model), model.second)


def test_a_line_goes_to_the_leaf_of_its_values() -> None:
    grown = trees.read(STUMP, ("a", "b", "c", "d"))
    values = pl.DataFrame([[0, 7, 0, 0], [0, 8, 0, -2], [0, 8, 0, -1]], orient="row")
    assert grown.scores(values.cast(pl.Int32).to_numpy()).tolist() == [2, -3, 0]
    assert grown.paths([0, 8, 0, -1]) == [("b > 7 and d > -2", 40), ("bias", -5)]


many = st.integers(-1_000, 3_000)


@given(st.lists(st.tuples(*[many] * len(lines.COLUMNS)), min_size=1, max_size=5))
def test_a_score_is_the_sum_of_its_paths(found: list[tuple[int, ...]]) -> None:
    grown = heading_model._model().doubtful
    values = pl.DataFrame(found, orient="row").cast(pl.Int32).to_numpy()
    sums = [sum(part for _, part in grown.paths(line)) // 100 for line in found]
    assert grown.scores(values).tolist() == sums


def test_more_lines_than_fit_at_once_get_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    values = lines.described(scored("run_in")).select(lines.COLUMNS).to_numpy()
    grown = heading_model._model().doubtful
    whole = grown.scores(values).tolist()
    monkeypatch.setattr(trees, "_LINES_AT_ONCE", 3)
    assert grown.scores(values).tolist() == whole


@pytest.mark.parametrize("style", styled.HEADINGS)
def test_only_doubtful_paragraphs_are_judged_again(
    style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "SURELY_BODY", -700)
    monkeypatch.setattr(lines, "SURELY_HEADING", 600)
    before = scored(style)
    after = lines.judged(before, trees.read(CERTAIN, lines.COLUMNS))
    best = before.select(best=pl.max_horizontal("standing", "run_in"))["best"]
    doubtful = (best > -700) & (best < 600)
    assert doubtful.any()
    changed = (after["standing"] != before["standing"]) | (after["run_in"] != before["run_in"])
    assert changed.to_list() == doubtful.to_list()
    titles = before["title"].clip(upper_bound=0).zip_with(doubtful, before["title"])
    assert after["title"].to_list() == titles.to_list(), "a heading is not a title"


@pytest.mark.parametrize("style", styled.HEADINGS)
def test_every_column_has_a_value(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "SURELY_BODY", -700)
    monkeypatch.setattr(lines, "SURELY_HEADING", 700)
    before = scored(style)
    as_if_run_in = before.filter(pl.col("first").is_not_null()).with_columns(kind=pl.lit(RUN_IN))
    for found, columns in (
        (lines.described(before), lines.COLUMNS),
        (second_sentence.described(as_if_run_in), second_sentence.COLUMNS),
    ):
        assert not found.is_empty()
        assert found.select(columns).null_count().sum_horizontal().item() == 0


def test_a_section_is_described_alone_as_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "SURELY_BODY", -100_001)
    monkeypatch.setattr(lines, "SURELY_HEADING", 100_000)
    alone = [scored(style) for style in styled.HEADINGS]
    together = pl.concat(
        one.with_columns(row=pl.lit(row, pl.UInt32)) for row, one in enumerate(alone)
    )
    assert len(lines.described(together)) == len(together)
    expected = pl.concat(lines.described(one).select(lines.COLUMNS) for one in alone)
    assert lines.described(together).select(lines.COLUMNS).equals(expected)


words_of = st.lists(
    st.sampled_from(["Costs,", "RISING", "prices", "we", "10", "lost", "markets:", "Pricey-costs"])
)


@given(st.lists(st.tuples(words_of, words_of), min_size=1, max_size=4))
def test_a_text_has_the_stems_of_its_longer_words(found: list[tuple[list[str], list[str]]]) -> None:
    texts = pl.DataFrame(
        [tuple(map(" ".join, pair)) for pair in found], ["one", "other"], orient="row"
    )
    for name, stems in zip(texts.columns, words.stemmed(texts, texts.columns), strict=True):
        assert stems.name == f"stems_{name}"
        for text, own in zip(texts[name], stems.to_list(), strict=True):
            longer = re.findall("[a-z]{5,}", text.lower())
            assert sorted(own) == sorted({word[:6] for word in longer})


def test_a_doubtful_score_is_explained() -> None:
    before = scored("run_in")
    sections = pl.DataFrame({"row": [0], "text": [styled.section("run_in")]})
    found = paragraphs(sections.cast({"row": pl.UInt32}))
    after = lines.judged(before, heading_model._model().doubtful)
    doubtful = lines.described(before)
    for position, run_in in doubtful.select("line", "is_run_in").rows():
        score = after["run_in" if run_in else "standing"][position]
        parts = heading_model.explained_again(found, position)
        assert sum(part for _, part in parts) // 100 == score
    certain = set(range(len(before))) - set(doubtful["line"])
    assert heading_model.explained_again(found, min(certain)) == []


PARAGRAPH = "One supplier makes our locks. Its loss could harm us. We have bought there since 2009."


def run_in(paragraph: str, kind: str = RUN_IN) -> pl.DataFrame:
    first = paragraph.split(". ")[0] + "."
    return pl.DataFrame({"row": [0], "paragraph": [paragraph], "first": [first], "kind": [kind]})


def test_a_heading_that_is_run_in_takes_its_second_sentence() -> None:
    grown = trees.read(CERTAIN, second_sentence.COLUMNS)
    (first,) = second_sentence.lengthened(run_in(PARAGRAPH), grown)["first"]
    assert first == "One supplier makes our locks. Its loss could harm us."


@pytest.mark.parametrize(
    ("paragraph", "kind"), [(PARAGRAPH, BODY), (PARAGRAPH.rsplit(". ", 1)[0] + ".", RUN_IN)]
)
def test_body_text_and_the_last_sentence_stay_apart(paragraph: str, kind: str) -> None:
    """A heading takes no sentence that is the whole of its text."""
    given = run_in(paragraph, kind)
    grown = trees.read(CERTAIN, second_sentence.COLUMNS)
    assert second_sentence.lengthened(given, grown).equals(given)
