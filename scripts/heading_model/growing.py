"""Fit the boosted trees of the heading model, as whole numbers.

    stored = for_doubt(judged)      # paragraphs with the second pass' scores, `kind`, `weight`

scikit-learn grows the trees. Its list of grown trees is not public there (`_predictors`); the
version is fixed in the lock, and a test fits. All values are whole numbers, so a bound is rounded
down and splits the same lines.
"""

import math
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from steps.prepare.text.doubtful import lines, second_sentence
from steps.prepare.text.heading_sequence import RUN_IN, STANDING

Tree = list[list[int]]

_LEAF_UNITS = 10_000
_CERTAIN = 10 * _LEAF_UNITS
_FEWEST_LINES = 40  # in a leaf
_SMOOTHNESS = 5.0
_RATE = 0.1
_LEAVES, _DEPTH = 16, 5
_TREES = 150


def for_doubt(judged: pl.DataFrame) -> dict[str, Any]:
    """Return the trees that judge a doubtful paragraph's likelier kind."""
    doubtful = lines.described(judged)
    own = judged[doubtful["line"]]
    run_in = doubtful["is_run_in"].to_numpy() == 1
    right = own["kind"].to_numpy() == np.where(run_in, RUN_IN, STANDING)
    return _grown(doubtful.select(lines.COLUMNS), right, own["weight"])


def for_second_sentences(described: pl.DataFrame) -> dict[str, Any]:
    """Return the trees that decide whether a heading run in has two sentences."""
    headings = described.filter(pl.col("first").is_not_null())
    found = second_sentence.described(headings)
    own = headings[found["line"]]
    longer = own["heading"].str.len_chars() >= found["both"].str.len_chars()
    return _grown(found.select(second_sentence.COLUMNS), longer.to_numpy(), own["weight"])


def _grown(values: pl.DataFrame, right: Any, weight: pl.Series) -> dict[str, Any]:
    """Grow trees; where every line has the same answer, none is needed."""
    if right.all() or not right.any():
        return {"bias": _CERTAIN if len(right) and right.all() else -_CERTAIN, "trees": []}
    model = HistGradientBoostingClassifier(
        max_iter=_TREES, learning_rate=_RATE, max_leaf_nodes=_LEAVES, max_depth=_DEPTH,
        min_samples_leaf=_FEWEST_LINES, l2_regularization=_SMOOTHNESS, early_stopping=False,
        random_state=0,
    )  # fmt: skip
    with threadpool_limits(1):  # a sum's last digits depend on the number of threads
        model.fit(values.to_numpy(), right, sample_weight=weight.to_numpy())
    bias = round(float(model._baseline_prediction.item()) * _LEAF_UNITS)
    return {"bias": bias, "trees": [_nodes(each.nodes) for (each,) in model._predictors]}


def _nodes(nodes: Any) -> Tree:
    return [
        [round(float(node["value"]) * _LEAF_UNITS)]
        if node["is_leaf"]
        else [
            int(node["feature_idx"]), math.floor(node["num_threshold"]),
            int(node["left"]), int(node["right"]),
        ]
        for node in nodes
    ]  # fmt: skip
