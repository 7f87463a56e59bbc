"""Fit the two passes: multinomial logistic regression, its weights rounded to integers.

    passes = fitted(frame)      # row, paragraph, kind, company -> the two passes as they are stored

The second pass learns from the first pass' scores of companies that the first pass has not seen.
Weights are hundredths of log odds against body text. The same frame gives the same weights.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from scripts.heading_model import growing
from steps.prepare.text import heading_model, line_features, section_features
from steps.prepare.text.heading_model import PASSES, Term, Weights, read
from steps.prepare.text.heading_sequence import KINDS
from steps.prepare.text.line_features import WORDS

Stored = dict[str, Any]

STRENGTHS = (0.07, 0.05)  # C of the two passes; smaller is smoother
_FEWEST_COMPANIES = 4  # that use a word
_FOLDS = 4
_HUNDREDTHS = 100
_ITERATIONS = 150
_SMALLEST = 2  # hundredths; entries whose weights are all smaller are left out


def fitted(frame: pl.DataFrame, strengths: Sequence[float] = STRENGTHS) -> Stored:
    """Return the model for a frame as `experiment.training_frame` makes it."""
    described = line_features.described(frame)
    placed = section_features.placed(_unseen(described, 0, strengths[0]))
    passes = [_pass(described, 0, strengths[0]), _pass(placed, 1, strengths[1])]
    return {
        "passes": passes,
        "doubtful": growing.for_doubt(_unseen(placed, 1, strengths[1])),
        "second_sentence": growing.for_second_sentences(described),
    }


def _unseen(frame: pl.DataFrame, number: int, strength: float) -> pl.DataFrame:
    """Return a pass' scores of each company, by weights that have not seen it."""
    score = (heading_model.scored, heading_model.judged)[number]
    parts = [score(part, _weights(rest, number, strength)) for part, rest in _folds(frame)]
    return pl.concat(parts).sort("row", maintain_order=True)


def fold(company: str, folds: int) -> int:
    """Return the fold that a company is in."""
    return int(hashlib.sha256(f"fold {company}".encode()).hexdigest()[:8], 16) % folds


def _folds(frame: pl.DataFrame) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    of_company = {company: fold(company, _FOLDS) for company in frame["company"].unique()}
    number = frame["company"].replace_strict(of_company, return_dtype=pl.Int64)
    return [
        (frame.filter(number == one), frame.filter(number != one))
        for one in range(_FOLDS)
        if (number == one).any() and (number != one).any()
    ]


def _weights(frame: pl.DataFrame, number: int, strength: float) -> Weights:
    return read(_pass(frame, number, strength), PASSES[number])


def _pass(frame: pl.DataFrame, number: int, strength: float) -> Stored:
    terms = PASSES[number]
    vocabulary = {word: _vocabulary(frame, word) for word in WORDS}
    matrix = _matrix(frame, terms, vocabulary)
    kinds = np.array([KINDS.index(kind) for kind in frame["kind"]])
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=1e-4)
    model.fit(matrix, kinds, sample_weight=frame["weight"].to_numpy())
    all_kinds = np.zeros((len(KINDS), matrix.shape[1]))
    bias = np.full(len(KINDS), -10.0)
    all_kinds[model.classes_] = model.coef_
    bias[model.classes_] = model.intercept_
    table = np.rint((all_kinds[1:] - all_kinds[0]) * _HUNDREDTHS).astype(int).T.tolist()
    constant = np.rint((bias[1:] - bias[0]) * _HUNDREDTHS).astype(int).tolist()
    return _stored(constant, table, terms, vocabulary)


def _vocabulary(frame: pl.DataFrame, word: str) -> list[str]:
    used = frame.group_by(word).agg(pl.col("company").n_unique())
    common = used.filter((pl.col("company") >= _FEWEST_COMPANIES) & (pl.col(word) != ""))
    return sorted(common[word].to_list())


def _matrix(
    frame: pl.DataFrame, terms: Sequence[Term], vocabulary: Mapping[str, Sequence[str]]
) -> csr_matrix:
    """Return one column per value of each term and per word, with a one for each that is there."""
    columns, width = [], 0
    for term in terms:
        columns.append(frame.select(heading_model.code(term)).to_series().to_numpy() + width)
        width += heading_model.size(term)
    for word, known in vocabulary.items():
        places = {one: width + number for number, one in enumerate(known)}
        columns.append(
            frame[word].replace_strict(places, default=-1, return_dtype=pl.Int32).to_numpy()
        )
        width += len(known)
    found = np.stack(columns, axis=1)
    present = found >= 0
    ends = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    return csr_matrix((np.ones(int(ends[-1])), found[present], ends), shape=(len(frame), width))


def _stored(
    bias: list[int],
    table: Sequence[list[int]],
    terms: Sequence[Term],
    vocabulary: Mapping[str, Sequence[str]],
) -> Stored:
    stored: Stored = {"bias": bias, "terms": {}, "words": {}}
    first = 0
    for term in terms:
        rows = table[first : first + heading_model.size(term)]
        stored["terms"][" ".join(term)] = _kept(map(str, range(len(rows))), rows)
        first += len(rows)
    for word, known in vocabulary.items():
        rows = table[first : first + len(known)]
        stored["words"][word] = _kept(known, rows)
        first += len(known)
    return stored


def _kept(names: Any, rows: Sequence[list[int]]) -> dict[str, list[int]]:
    return {
        name: row for name, row in zip(names, rows, strict=True) if max(map(abs, row)) >= _SMALLEST
    }
