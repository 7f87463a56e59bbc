"""A sample of the held-out examples that has their mix of years, industries and families.

    numbers = stratified(documents.strata()[whole], lengths[whole], most_tokens=60_000, least=64)

The examples are put in the order of group, year, family and id, and every k-th is taken. So each
stratum has its share up to one example, however many strata there are, and a family its share of
each year. It is the same in every process, for every seed, and for every order of the
table.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steps.train.data.packing import Numbers

LEAST_EXAMPLES = 64  # of a sample, even if they cost more
ORDER = ("group", "year", "family", "example_id")


def stratified(
    strata: NDArray[Any], lengths: Numbers, *, most_tokens: int, least: int
) -> NDArray[np.int64]:
    """Return the positions of the sample, ascending.

    Args:
        strata: (examples,) with the fields of `ORDER`.
        lengths: (examples,) tokens of each.
        most_tokens: of the sample.
        least: examples that it has even if they have more tokens.
    """
    ordered, tokens = np.argsort(strata, order=ORDER, kind="stable"), int(lengths.sum())
    count = len(ordered) * most_tokens // max(1, tokens)
    while count > least:
        chosen = _every(ordered, count)
        if (found := int(lengths[chosen].sum())) <= most_tokens:
            return np.sort(chosen)
        count = min(count - 1, count * most_tokens // found)
    return np.sort(_every(ordered, least))


def spread(strata: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the positions of `count` examples, or of all if there are fewer, ascending."""
    return np.sort(_every(np.argsort(strata, order=ORDER, kind="stable"), count))


def _every(ordered: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return `count` of these at equal distances, from the middle of the first distance on."""
    total = len(ordered)
    if count >= total:
        return ordered
    return ordered[(2 * np.arange(count) + 1) * total // (2 * count)]
