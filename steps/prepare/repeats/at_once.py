"""The links of few texts: the steps of `links` without a shuffle or join between them.

    near, family = links(texts)      # a table with TEXTS, at most MOST rows

Of few texts, most of the cost of `links` is that of its plan: two shuffles, and two joins past
which all sets of shingles go. The functions that decide are the same.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.prepare.repeats import candidates, components, likeness
from steps.prepare.repeats.likeness import OF_FAMILY, OF_NEAR, SIDE, side
from steps.prepare.repeats.sketch import KEYS

TEXTS = pa.schema(
    [*((name, pa.int64()) for name in SIDE if name != "shingles")]
    + [(name, pa.binary()) for name in ("shingles", "bands")]
)
MOST = candidates.BUCKET_ROWS_PER_TASK // KEYS  # about 25 MB of sets and sketches
_PAIRS_AT_ONCE = 2_048  # with both sets, some MB

Ints = npt.NDArray[np.int64]


def links(texts: pa.Table) -> tuple[dict[int, int], dict[int, int]]:
    """Return the row that is kept instead of each near duplicate, and of each row the rank of its
    family's earliest text.
    """
    near, family = dict[int, int](), dict[int, int]()
    for batch in components.linked(_edges(texts)):
        kinds, rows, first_rows, first_ranks = (column.to_pylist() for column in batch.columns)
        for kind, row, first_row, first_rank in zip(
            kinds, rows, first_rows, first_ranks, strict=True
        ):
            if kind == OF_FAMILY:
                family[row] = first_rank
            elif kind == OF_NEAR and row != first_row:
                near[row] = first_row
    return near, family


def _edges(texts: pa.Table) -> Iterator[pa.RecordBatch]:
    ordered = texts.sort_by("row").combine_chunks()
    rows = ordered["row"].to_numpy()
    sketches = ordered.select(["row", "rank", "bands"]).to_batches()
    (pairs,) = candidates.paired(candidates.exploded(sketches))
    a, b = (np.searchsorted(rows, pairs[end].to_numpy()) for end in "ab")
    for start in range(0, len(a), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        columns = {
            side(name, end): ordered[name].take(pa.array(places[part])).combine_chunks()
            for end, places in zip("ab", (a, b), strict=True)
            for name in SIDE
        }
        yield from likeness.compared([pa.record_batch(columns)])
