"""Boosted trees of whole numbers: a score is the sum of the leaves that a line's values lead to.

    trees = read(stored); trees.scores(values)      # (lines, columns) -> hundredths of log odds

Each split compares one column with a whole number, and each leaf is a whole number of
ten-thousandths. So every platform finds the same sums, and `paths` lists what one sum consists of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.int32]

_LEAF_UNITS = 100  # of a leaf in one of a score
_LINES_AT_ONCE = 2_048  # bounds the memory


@dataclass(frozen=True)
class Trees:
    """The nodes of all trees in one list; a leaf leads to itself.

    `below` has two places for each node: where a value leads up to the bound, and where beyond it.
    """

    columns: Sequence[str]
    bias: int
    roots: Values
    depth: int
    column: Values
    bound: Values
    below: Values
    leaf: Values

    def scores(self, values: Values) -> Values:
        """Return the score of each line, in hundredths of log odds."""
        parts = [
            self._totals(values[first : first + _LINES_AT_ONCE]) // _LEAF_UNITS
            for first in range(0, len(values), _LINES_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def _totals(self, values: Values) -> Values:
        flat, width = np.ascontiguousarray(values).ravel(), values.shape[1]
        starts = np.arange(0, flat.size, width, dtype=np.int32)[:, None]
        at = np.repeat(self.roots[None, :], len(values), axis=0)
        for _ in range(self.depth):
            larger = flat.take(starts + self.column.take(at)) > self.bound.take(at)
            at = self.below.take(2 * at + larger)
        totals: Values = self.leaf.take(at).sum(axis=1, dtype=np.int32) + np.int32(self.bias)
        return totals

    def paths(self, line: Sequence[int]) -> list[tuple[str, int]]:
        """Return what each tree adds to one line's sum and why, the largest part first."""
        found = [("bias", self.bias), *(self._path(int(root), line) for root in self.roots)]
        return sorted(found, key=lambda part: -abs(part[1]))

    def _path(self, node: int, line: Sequence[int]) -> tuple[str, int]:
        tests = []
        while self.below[2 * node] != node:
            name, bound = self.columns[self.column[node]], self.bound[node]
            larger = line[self.column[node]] > bound
            tests.append(f"{name} {'>' if larger else '<='} {bound}")
            node = int(self.below[2 * node + larger])
        return " and ".join(tests), int(self.leaf[node])


def read(stored: Mapping[str, Any], columns: Sequence[str]) -> Trees:
    """Return stored trees: a split is [column, bound, low, high], a leaf [ten-thousandths]."""
    rows, roots, depths = list[tuple[int, int, int, int, int]](), [], []
    for tree in stored["trees"]:
        roots.append(len(rows))
        rows += _nodes(tree, len(rows))
        depths.append(_depth(tree, 0))
    nodes = np.array(rows, np.int32).reshape(-1, 5)
    column, bound, _, _, leaf = nodes.T.copy()
    return Trees(
        columns=columns,
        bias=stored["bias"],
        roots=np.array(roots, np.int32),
        depth=max(depths, default=0),
        column=column,
        bound=bound,
        below=nodes[:, 2:4].ravel(),
        leaf=leaf,
    )


def _nodes(tree: Sequence[Sequence[int]], first: int) -> Iterator[tuple[int, int, int, int, int]]:
    for number, node in enumerate(tree, first):
        if len(node) == 1:
            yield 0, 0, number, number, node[0]
        else:
            column, bound, low, high = node
            yield column, bound, first + low, first + high, 0


def _depth(tree: Sequence[Sequence[int]], node: int) -> int:
    if len(tree[node]) == 1:
        return 0
    return 1 + max(_depth(tree, below) for below in tree[node][2:])
