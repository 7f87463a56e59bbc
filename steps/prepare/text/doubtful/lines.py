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

# Hundredths; a paragraph is in doubt between them.
SURELY_BODY: Final = -300
SURELY_HEADING: Final = 400
_FAR = -999
_PLACES: Final = {"before": -1, "after": 1, "before_2": -2, "after_2": 2}
_NEIGHBOURS: Final = {"at_before": -1, "at_1": 1, "at_2": 2}
_TEXTS = ("unit", "below", "before", "after")
_PAIRS = (("unit", "before"), ("unit", "after"), ("below", "before"), ("below", "after"))
_OF_SECTION: Final = (
    "shape", "shape_1", "shape_2", "run_in_share", "standing_rate", "run_in_rate", "usual_length",
    "usual_rest", "form_standing", "form_run_in", "standing_like_this", "run_in_like_this", "since",
    "until", "leans", "factual", "bad", "closing", "closing_before", "leans_below", "overlap",
    "overlap_before", "breaks",
)  # fmt: skip
_COUNTED: Final = (
    "is_run_in", "own_score", "title", "score_before", "score_after", "score_before_2",
    "score_after_2", "unit_below", *(f"{a}_{b}" for a, b in _PAIRS), "shared", "shared_new",
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
    own = scored.select(
        "row", *SCORES, *_OF_SECTION,
        best=pl.max_horizontal("standing", "run_in"),
        is_run_in=(pl.col("run_in") > pl.col("standing")) & pl.col("first").is_not_null(),
    ).with_row_index("line")  # fmt: skip
    near = own.with_columns(
        **{f"score_{name}": _near("best", distance, _FAR) for name, distance in _PLACES.items()},
        **{name: _near("line", distance, None) for name, distance in _NEIGHBOURS.items()},
    )
    doubtful = near.filter(pl.col("best").is_between(SURELY_BODY, SURELY_HEADING, closed="none"))
    texts = _with_paragraphs(doubtful, scored).with_columns(**_texts())
    found = _compared(texts).with_columns(**_next()).with_columns(**_counted())
    return found.select("line", *(pl.col(name).cast(pl.Int32) for name in COLUMNS))


def _near(name: str, distance: int, missing: int | None) -> pl.Expr:
    """Return a column's value some paragraphs further on in the section, whose rows adjoin."""
    same = pl.col("row").shift(-distance) == pl.col("row")
    return pl.when(same).then(pl.col(name).shift(-distance)).otherwise(pl.lit(missing))


def _with_paragraphs(doubtful: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    """Add the text of each and of its neighbours: of the doubtful only, as text costs."""
    paragraph, first = scored["paragraph"], scored["first"]
    return doubtful.with_columns(
        paragraph.gather(doubtful["line"]),
        first.gather(doubtful["line"]),
        first.gather(doubtful["at_1"]).alias("first_1"),
        *(paragraph.gather(doubtful[name]).fill_null("").alias(name) for name in _NEIGHBOURS),
    )


def _texts() -> dict[str, pl.Expr]:
    """The candidate, the text below it, and the paragraphs before and after both."""
    line, run_in = pl.col("paragraph"), pl.col("is_run_in")
    rest = line.str.slice(pl.col("first").str.len_chars()).str.strip_chars_start()
    rest = pl.when(run_in).then(rest)
    return {
        "unit": pl.when(run_in).then("first").otherwise(line),
        "own_score": pl.when(run_in).then("run_in").otherwise("standing"),
        "rest": rest,
        "below": pl.coalesce(rest, "at_1"),
        "before": pl.col("at_before"),
        "after": pl.when(run_in).then("at_1").otherwise("at_2"),
    }


def _compared(lines: pl.DataFrame) -> pl.DataFrame:
    """Add how many of the words of one text are in another."""
    stems = lines.with_columns(words.stemmed(lines, _TEXTS))
    found = stems.with_columns(taken_up=words.common("unit", "below"))
    taken_up = pl.col("taken_up")
    return found.with_columns(
        unit_below=words.share(taken_up, "unit"),
        shared=taken_up.list.len(),
        shared_new=taken_up.list.set_difference("stems_before").list.len(),
        **{f"{a}_{b}": words.shared(a, b) for a, b in _PAIRS},
    )


def _next() -> dict[str, pl.Expr]:
    """The first sentence below the candidate, and what comes then."""
    of_rest = pl.when("is_run_in").then(first_sentence("rest")).otherwise("first_1")
    sentence = pl.coalesce(of_rest, "below")
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
        "characters_below": pl.col("below").str.len_chars(),
        "characters_before": pl.col("before").str.len_chars(),
        "characters_next": following.str.len_chars(),
    }
