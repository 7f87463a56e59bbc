"""Judge again what the linear model leaves in doubt: by the text below, and by what goes before.

    judged(scored, trees)      # all paragraphs with the second pass' scores -> the same, rescored

A doubtful paragraph is a candidate for its likelier kind: a heading on its line, or one run in. The
text below takes a heading's words up again, and it opens with an account and not with another
claim of harm; a body paragraph continues what is above it. So the candidate's words are compared
with those of the text below and of the paragraphs around, and the verbs and pronouns of these texts
are counted. This costs more than the linear model, so only doubtful paragraphs are searched.
"""

from typing import Final

import polars as pl

from steps.prepare.text.doubtful import words
from steps.prepare.text.doubtful.trees import Trees
from steps.prepare.text.section_features import SCORES
from steps.prepare.text.sentences import first_sentence

DOUBT: Final = 200  # hundredths; a score beyond it, on either side, is not in doubt
_FAR = -999
_PLACES: Final = {"before": -1, "after": 1, "before_2": -2, "after_2": 2}
_BELOW, _AROUND = 1_200, 600  # characters that are searched
_TEXTS = ("unit", "below", "before", "after")
_PAIRS = (
    ("unit", "below"), ("unit", "before"), ("unit", "after"), ("below", "before"),
    ("below", "after"),
)  # fmt: skip
_OF_SECTION: Final = (
    "shape", "shape_1", "shape_2", "run_in_share", "standing_rate", "run_in_rate", "usual_length",
    "usual_rest", "form_standing", "form_run_in", "standing_like_this", "run_in_like_this", "since",
    "until", "leans", "factual", "bad", "closing", "closing_before", "leans_below", "overlap",
    "overlap_before", "breaks",
)  # fmt: skip
_COUNTED: Final = (
    "is_run_in", "own_score", "title", "score_before", "score_after", "score_before_2",
    "score_after_2", *(f"{a}_{b}" for a, b in _PAIRS), "shared", "shared_new",
    "modal_unit", "modal_next", "modal_then", "pronoun_unit", "pronoun_next", "also_unit",
    "also_next", "perfect_unit", "ours_unit", "harm_unit", "harm_before", "harm_below",
    "characters_unit", "characters_next", "characters_below", "characters_before",
)  # fmt: skip
COLUMNS: Final = (*_COUNTED, *_OF_SECTION)


def judged(scored: pl.DataFrame, trees: Trees) -> pl.DataFrame:
    """Return the paragraphs with the trees' scores where the linear model is in doubt.

    The trees weigh a heading against all else, so what they call one is not the title of a group.
    """
    found = described(scored)
    if found.is_empty():
        return scored
    scores = pl.Series(trees.scores(found.select(COLUMNS).to_numpy()), dtype=pl.Int32)
    run_in = found["is_run_in"] == 1
    title = scored["title"].gather(found["line"])
    capped = title.clip(upper_bound=0).zip_with(scores > 0, title)
    return scored.with_columns(
        _replaced(scored["standing"], found["line"].filter(~run_in), scores.filter(~run_in)),
        _replaced(scored["run_in"], found["line"].filter(run_in), scores.filter(run_in)),
        _replaced(scored["title"], found["line"], capped),
    )


def _replaced(scores: pl.Series, lines: pl.Series, by: pl.Series) -> pl.Series:
    return scores.clone().scatter(lines, by)


def described(scored: pl.DataFrame) -> pl.DataFrame:
    """Return the doubtful paragraphs: `line` (their place) and `COLUMNS`."""
    own = scored.select("row", "paragraph", "first", *SCORES, *_OF_SECTION).with_row_index("line")
    near = own.with_columns(best=pl.max_horizontal("standing", "run_in")).with_columns(
        **{f"score_{name}": _near("best", distance, _FAR) for name, distance in _PLACES.items()},
        at_before=_near("paragraph", -1, ""),
        at_1=_near("paragraph", 1, ""),
        at_2=_near("paragraph", 2, ""),
        is_run_in=(pl.col("run_in") > pl.col("standing")) & pl.col("first").is_not_null(),
    )
    doubtful = near.filter(pl.col("best").abs() < DOUBT).with_columns(**_texts())
    found = _compared(doubtful).with_columns(**_next()).with_columns(**_counted())
    return found.select("line", *(pl.col(name).cast(pl.Int32) for name in COLUMNS))


def _near(name: str, distance: int, missing: int | str) -> pl.Expr:
    """Return a column's value some paragraphs further on in the section, whose rows adjoin."""
    same = pl.col("row").shift(-distance) == pl.col("row")
    return pl.when(same).then(pl.col(name).shift(-distance)).otherwise(pl.lit(missing))


def _texts() -> dict[str, pl.Expr]:
    """The candidate, the text below it, and the paragraphs before and after both."""
    line, run_in = pl.col("paragraph"), pl.col("is_run_in")
    unit = pl.when(run_in).then("first").otherwise(line)
    rest = line.str.slice(pl.col("first").str.len_chars()).str.strip_chars_start()
    below = pl.when(run_in).then(rest).otherwise(pl.col("at_1"))
    after = pl.when(run_in).then(pl.col("at_1")).otherwise(pl.col("at_2"))
    return {
        "unit": unit,
        "own_score": pl.when(run_in).then("run_in").otherwise("standing"),
        "below": below.str.slice(0, _BELOW),
        "before": pl.col("at_before").str.slice(-_AROUND),
        "after": after.str.slice(0, _AROUND),
        "characters_below": below.str.len_chars(),
        "characters_before": pl.col("at_before").str.len_chars(),
    }


def _compared(lines: pl.DataFrame) -> pl.DataFrame:
    """Add how many of the words of one text are in another."""
    found = lines.with_columns(**words.stemmed(_TEXTS))
    taken_up = words.common("unit", "below")
    return found.with_columns(
        **{f"{a}_{b}": words.shared(a, b) for a, b in _PAIRS},
        shared=taken_up.list.len(),
        shared_new=taken_up.list.set_difference(pl.col("stems_before")).list.len(),
    )


def _next() -> dict[str, pl.Expr]:
    """The first sentence below the candidate, and what comes then."""
    sentence = pl.coalesce(first_sentence("below"), "below")
    return {
        "next": sentence.str.to_lowercase(),
        "then": pl.col("below").str.slice(sentence.str.len_chars(), 250).str.to_lowercase(),
        "unit": pl.col("unit").str.to_lowercase(),
    }


def _counted() -> dict[str, pl.Expr]:
    unit, following = pl.col("unit"), pl.col("next")
    return {
        "modal_unit": unit.str.count_matches(words.MODAL),
        "modal_next": following.str.count_matches(words.MODAL),
        "modal_then": pl.col("then").str.count_matches(words.MODAL),
        "pronoun_unit": words.refers(unit),
        "pronoun_next": words.refers(following),
        "also_unit": unit.str.contains(words.ALSO),
        "also_next": following.str.contains(words.ALSO),
        "perfect_unit": unit.str.contains(words.PERFECT),
        "ours_unit": unit.str.count_matches(words.OURS),
        "harm_unit": words.ends_in_harm(unit),
        "harm_before": words.ends_in_harm(pl.col("before")),
        "harm_below": words.ends_in_harm(pl.col("below")),
        "characters_unit": unit.str.len_chars(),
        "characters_next": following.str.len_chars(),
    }
