"""Weigh each paragraph: a heading on its line, a heading run in, the title of a group, or body.

    kinds(paragraphs)      # row, paragraph -> described rows with `kind`

A linear model in two passes. The first adds weights of a paragraph's own features and its
neighbours' (line_features.py); the second also sees what the first found in the whole section
(section_features.py), so that one paragraph is decided by the style of all. Boosted trees judge
again what is left in doubt (doubtful/). Weights are integers in a file whose digest is fixed here.
So the result is the same on every platform, and the sum for a paragraph can be listed term by term
(`explained`), and tree by tree (`explained_again`). Decisions 030 and 056 have their source.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from steps.governance.errors import IntegrityError
from steps.prepare.text import line_features, section_features
from steps.prepare.text.doubtful import lines, second_sentence, trees
from steps.prepare.text.doubtful.trees import Trees
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE, settled
from steps.prepare.text.line_features import WORDS, barred
from steps.prepare.text.section_features import SCORES

_NEVER = -100_000

WEIGHTS = Path(__file__).with_name("heading_weights.json")
WEIGHTS_SHA256 = "9ccc74195d2c7a3f6f88388658cb9d60362b7bc62938d098e68b3e44f015e804"

Term = tuple[str, ...]
Table = npt.NDArray[np.int32]
SIZES: Mapping[str, int] = line_features.SIZES | section_features.SIZES
PASSES: tuple[tuple[Term, ...], ...] = (
    line_features.TERMS,
    line_features.TERMS + section_features.TERMS,
)


@dataclass(frozen=True)
class Weights:
    """One pass: a bias for each score, and a table for each term, (values, scores).

    `words` has the words that a column may hold, and a table whose row 0 is for any other.
    """

    bias: Sequence[int]
    tables: Mapping[Term, Table]
    words: Mapping[str, tuple[pl.Series, Table]]


@dataclass(frozen=True)
class Model:
    """The two passes, the trees for what they leave in doubt, and those for second sentences."""

    first: Weights
    second: Weights
    doubtful: Trees
    second_sentence: Trees


def kinds(paragraphs: pl.DataFrame, model: Model | None = None) -> pl.DataFrame:
    """Return the paragraphs with `first` and `kind`.

    `first` is the first sentence, or null; of a heading that is run in, the whole heading.
    `model`: another than that of the file, for `scripts.heading_model`.
    """
    model = model or _model()
    totals = lines.judged(judged(placed(paragraphs, model), model.second), model.doubtful)
    decided = totals.select("row", "paragraph", "first", *SCORES, kind=_kind())
    return second_sentence.lengthened(settled(decided).drop(SCORES), model.second_sentence)


def placed(paragraphs: pl.DataFrame, model: Model) -> pl.DataFrame:
    """Return the paragraphs as the second pass sees them."""
    return section_features.placed(scored(line_features.described(paragraphs), model.first))


def judged(placed: pl.DataFrame, second: Weights) -> pl.DataFrame:
    """Return the paragraphs with the second pass' scores; what is barred heads nothing."""
    return scored(placed, second).with_columns(
        pl.when(barred()).then(_NEVER).otherwise(pl.col(name)).cast(pl.Int32).alias(name)
        for name in (STANDING, RUN_IN)
    )


def explained(paragraphs: pl.DataFrame, position: int) -> list[tuple[str, int, int, int]]:
    """Return the terms of one paragraph's final scores with their weights, the largest first."""
    model = _model()
    line = placed(paragraphs, model).slice(position, 1)
    rows = []
    for term, parts in _terms(line, model.second):
        one, two, three = parts[0].tolist()
        rows.append((" ".join(term), one, two, three))
    return sorted(rows, key=lambda row: -max(map(abs, row[1:])))


def explained_again(paragraphs: pl.DataFrame, position: int) -> list[tuple[str, int]]:
    """Return what the trees add for one doubtful paragraph, in ten-thousandths; else nothing."""
    model = _model()
    found = lines.described(judged(placed(paragraphs, model), model.second))
    own = found.filter(pl.col("line") == position).select(lines.COLUMNS).rows()
    return model.doubtful.paths(own[0]) if own else []


def code(term: Term) -> pl.Expr:
    """Return the values of a term's columns as one number."""
    number = pl.col(term[0]).cast(pl.Int32)
    for name in term[1:]:
        number = number * SIZES[name] + pl.col(name).cast(pl.Int32)
    return number


def size(term: Term) -> int:
    """Return how many values a term has."""
    values = 1
    for name in term:
        values *= SIZES[name]
    return values


def scored(frame: pl.DataFrame, weights: Weights) -> pl.DataFrame:
    """Add `standing`, `run_in` and `title`: how much likelier than body, in hundredths."""
    totals = np.tile(np.array(weights.bias, np.int32), (len(frame), 1))
    for _, parts in _terms(frame, weights):
        totals += parts
    return frame.with_columns(
        pl.Series(name, total) for name, total in zip(SCORES, totals.T.copy(), strict=True)
    )


def _terms(frame: pl.DataFrame, weights: Weights) -> Iterator[tuple[Term, Table]]:
    """Yield each term and what it adds to the scores of each paragraph, (paragraphs, scores)."""
    names = {name for term in weights.tables for name in term}
    values = frame.select(pl.col(*names).cast(pl.Int32)).to_dict()
    columns = {name: column.to_numpy() for name, column in values.items()}
    for term, table in weights.tables.items():
        # As `code`, without a plan of polars for each term
        number = columns[term[0]]
        for name in term[1:]:
            number = number * np.int32(SIZES[name]) + columns[name]
        yield term, table.take(number, axis=0)
    places = frame.select(_place(word, known) for word, (known, _) in weights.words.items())
    for word, (_, table) in weights.words.items():
        yield (word,), table.take(places[word].to_numpy(), axis=0)


def _place(column: str, known: pl.Series) -> pl.Expr:
    """Return the place of a column's word among the known ones, from 1; 0 for any other."""
    places = pl.Series(range(1, len(known) + 1), dtype=pl.Int32)
    return pl.col(column).replace_strict(known, places, default=0, return_dtype=pl.Int32)


def _kind() -> pl.Expr:
    """Return the likeliest kind; equal scores are body text."""
    standing, run_in, title = (pl.col(name) for name in SCORES)
    best = pl.max_horizontal(standing, run_in, title)
    return (
        pl.when(best <= 0).then(pl.lit(BODY))
        .when(standing == best).then(pl.lit(STANDING))
        .when((run_in == best) & pl.col("first").is_not_null()).then(pl.lit(RUN_IN))
        .when(title == best).then(pl.lit(TITLE)).otherwise(pl.lit(BODY))
    )  # fmt: skip


@cache
def _model() -> Model:
    content = WEIGHTS.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise IntegrityError(
            f"the weights in {WEIGHTS.name} are not those of this program",
            expected=f"sha256 {WEIGHTS_SHA256}",
            got=f"sha256 {found}",
            do="install the package again",
        )
    return read_model(json.loads(content))


def read_model(stored: Mapping[str, Any]) -> Model:
    """Return the content of the weights' file as tables."""
    first, second = (read(one, of) for one, of in zip(stored["passes"], PASSES, strict=True))
    return Model(
        first,
        second,
        trees.read(stored["doubtful"], lines.COLUMNS),
        trees.read(stored["second_sentence"], second_sentence.COLUMNS),
    )


def read(stored: Mapping[str, Any], terms: Sequence[Term]) -> Weights:
    """Return one pass of the weights' file as tables."""
    tables = {term: _table(stored["terms"][" ".join(term)], size(term)) for term in terms}
    words = {}
    for word in WORDS:
        known: Mapping[str, Sequence[int]] = stored["words"][word]
        table = np.array([[0] * len(SCORES), *known.values()], np.int32)
        words[word] = pl.Series(known.keys(), dtype=pl.String), table
    return Weights(stored["bias"], tables, words)


def _table(entries: Mapping[str, Sequence[int]], values: int) -> Table:
    table = np.zeros((values, len(SCORES)), np.int32)
    for number, weights in entries.items():
        table[int(number)] = weights
    return table
