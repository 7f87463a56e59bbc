"""Decide whether a heading that is run in has a second sentence.

    lengthened(decided, trees)      # rows with `kind` and `first` -> `first` with both sentences

"We rely on one supplier. The loss of this supplier could harm our business. We buy …": the second
sentence still makes a claim, and the third begins the account. The trees compare the three, as
lines.py does for paragraphs.
"""

from typing import Final

import polars as pl

from steps.prepare.text.doubtful import words
from steps.prepare.text.doubtful.trees import Trees
from steps.prepare.text.heading_sequence import RUN_IN
from steps.prepare.text.sentences import first_sentence

_SEARCHED = 1_500  # characters behind the first sentence
_TEXTS: Final = ("first", "second", "third", "later")
_PAIRS: Final = (
    ("first", "second"), ("first", "third"), ("second", "third"), ("first", "later"),
    ("second", "later"),
)  # fmt: skip
_SENTENCES: Final = ("first", "second", "third")
_OPENS = "^(?:we|our|the) "
_LEADS_ON = "^(?:in|any|failure|as|because) "
_FACT = "[0-9]|example|such as|including"
COLUMNS: Final = (
    *(f"{a}_{b}" for a, b in _PAIRS), *(f"modal_{name}" for name in _SENTENCES),
    *(f"harm_{name}" for name in _SENTENCES), *(f"characters_{name}" for name in _TEXTS),
    "refers_second", "refers_third", "opens_second", "opens_third", "perfect_second",
    "perfect_third", "if_second", "leads_on", "fact", "commas",
)  # fmt: skip


def lengthened(decided: pl.DataFrame, trees: Trees) -> pl.DataFrame:
    """Return the paragraphs; `first` has both sentences where the trees decide so."""
    found = described(decided)
    if found.is_empty():
        return decided
    scores = pl.Series(trees.scores(found.select(COLUMNS).to_numpy()), dtype=pl.Int32)
    chosen = found.filter(scores > 0)
    firsts = decided["first"].clone().scatter(chosen["line"], chosen["both"])
    return decided.with_columns(firsts)


def described(decided: pl.DataFrame) -> pl.DataFrame:
    """Return the run-in headings that more than one sentence follows.

    `line` is their place, `both` their first two sentences, and `COLUMNS` the values.
    """
    line = pl.col("paragraph")
    run_in = decided.with_row_index("line").filter(pl.col("kind") == RUN_IN)
    cut = run_in.with_columns(
        rest=line.str.slice(pl.col("first").str.len_chars()).str.strip_chars_start()
    )
    cut = cut.with_columns(second=first_sentence("rest")).drop_nulls("second")
    end = pl.col("first").str.len_chars() + pl.col("second").str.len_chars() + 1
    cut = cut.with_columns(
        both=line.str.slice(0, end),
        later=pl.col("rest").str.slice(pl.col("second").str.len_chars(), _SEARCHED),
    )
    cut = cut.with_columns(pl.col("later").str.strip_chars_start())
    cut = cut.with_columns(third=pl.coalesce(first_sentence("later"), "later"))
    found = cut.with_columns(pl.col(name).str.to_lowercase() for name in _TEXTS)
    found = found.with_columns(words.stemmed(found, _TEXTS)).with_columns(**_counted())
    return found.select("line", "both", *(pl.col(name).cast(pl.Int32) for name in COLUMNS))


def _counted() -> dict[str, pl.Expr]:
    second, third = pl.col("second"), pl.col("third")
    return {
        **{f"{a}_{b}": words.shared(a, b) for a, b in _PAIRS},
        **{f"modal_{name}": pl.col(name).str.count_matches(words.MODAL) for name in _SENTENCES},
        **{f"harm_{name}": words.ends_in_harm(pl.col(name)) for name in _SENTENCES},
        **{f"characters_{name}": pl.col(name).str.len_chars() for name in _TEXTS},
        "refers_second": words.refers(second),
        "refers_third": words.refers(third),
        "opens_second": second.str.contains(_OPENS),
        "opens_third": third.str.contains(_OPENS),
        "perfect_second": second.str.contains(words.PERFECT),
        "perfect_third": third.str.contains(words.PERFECT),
        "if_second": second.str.starts_with("if "),
        "leads_on": second.str.contains(_LEADS_ON),
        "fact": second.str.contains(_FACT),
        "commas": pl.col("first").str.count_matches(",", literal=True),
    }
