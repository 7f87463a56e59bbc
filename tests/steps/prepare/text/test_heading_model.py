"""The heading model: its fixed file, its exact sums, and sequences of headings."""

from itertools import product
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.governance.errors import IntegrityError
from steps.prepare.text import heading_model, section_features
from steps.prepare.text.heading_sequence import BODY, KINDS, STANDING, TITLE, best
from steps.prepare.text.paragraphs import paragraphs
from tests.steps.prepare.support import styled


def lines(style: str = "standing") -> pl.DataFrame:
    sections = pl.DataFrame({"row": [0], "text": [styled.section(style)]})
    return paragraphs(sections.cast({"row": pl.UInt32}))


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "heading_weights.json"
    changed.write_bytes(heading_model.WEIGHTS.read_bytes() + b" ")
    monkeypatch.setattr(heading_model, "WEIGHTS", changed)
    heading_model._model.cache_clear()
    try:
        with pytest.raises(IntegrityError, match="are not those of this program"):
            heading_model.kinds(lines())
    finally:
        heading_model._model.cache_clear()


def test_every_value_of_a_column_has_a_place_in_its_table() -> None:
    for style in styled.HEADINGS:
        placed = heading_model.placed(lines(style), heading_model._model())
        for name, values in heading_model.SIZES.items():
            assert placed[name].null_count() == 0, name
            assert placed[name].is_between(0, values - 1).all(), name


def test_a_score_is_the_sum_of_its_terms() -> None:
    found = lines()
    model = heading_model._model()
    second = model.second
    scored = heading_model.scored(heading_model.placed(found, model), second)
    for position in (0, 2, 3):
        terms = heading_model.explained(found, position)
        sums = [sum(term[score] for term in terms) for score in (1, 2, 3)]
        expected = scored.select(section_features.SCORES).row(position)
        assert tuple(sums) == tuple(
            value - bias for value, bias in zip(expected, second.bias, strict=True)
        )


def test_sections_do_not_change_each_other() -> None:
    pair = pl.concat([lines("standing"), lines("run_in").with_columns(row=pl.lit(1, pl.UInt32))])
    alone = pl.concat(
        [heading_model.kinds(lines("standing")), heading_model.kinds(lines("run_in"))]
    )
    assert heading_model.kinds(pair)["kind"].to_list() == alone["kind"].to_list()


def test_no_paragraph_gives_no_kind() -> None:
    assert heading_model.kinds(lines().clear()).is_empty()


def penalty(kinds: tuple[str, ...], *, at_end: bool) -> int:
    below = [*kinds[1:], TITLE if at_end else BODY]
    return 500 * sum(
        kind == STANDING and after != BODY for kind, after in zip(kinds, below, strict=True)
    )


scores = st.lists(st.tuples(st.just(0), *[st.integers(-900, 900)] * 3), min_size=1, max_size=4)


@given(scores, st.booleans())
def test_no_sequence_of_kinds_is_better_than_the_chosen_one(
    found: list[tuple[int, ...]], at_end: bool
) -> None:
    def worth(kinds: tuple[str, ...]) -> int:
        own = sum(line[KINDS.index(kind)] for line, kind in zip(found, kinds, strict=True))
        return own - penalty(kinds, at_end=at_end)

    chosen = best(found, at_end=at_end)
    assert worth(tuple(chosen)) == max(map(worth, product(KINDS, repeat=len(found))))
