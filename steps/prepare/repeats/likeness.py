"""The exact check of candidate pairs: the Jaccard similarity of their sets of shingles.

    map_in_arrow(pairs, compared, EDGES)      # both texts' numbers and sets -> the edges that hold

Shingles are 32 bits of a hash: of 330 shingles, one pair in 40,000 has a shingle that is equal by
chance. An edge is of two kinds, and one pair may have both:

* near: a similarity of 0.8 or more, of any two companies;
* family: 0.3 or more within a company, or 0.15 where the headings have the same words.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

NEAR, FAMILY, FAMILY_BY_HEADING = 0.8, 0.3, 0.15
OF_NEAR, OF_FAMILY = 0, 1
# What a pair brings of each side; `row` names the text.
SIDE = ("row", "rank", "cik_number", "heading_key", "shingles")
EDGES = pa.schema(
    [("kind", pa.int32()), ("part", pa.int64())]
    + [(name, pa.int64()) for name in ("row_a", "rank_a", "row_b", "rank_b")]
)
_PAIRS_AT_ONCE = 2_048


def side(name: str, end: str) -> str:
    """Return the column of one end (`a`, `b`) of a pair."""
    return f"{name}_{end}"


def compared(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the edges of the pairs; `part` is the same for all edges that one component may have.

    It is the company for families, and 0 for near duplicates.
    """
    for whole in batches:
        for start in range(0, whole.num_rows, _PAIRS_AT_ONCE):
            batch = whole.slice(start, _PAIRS_AT_ONCE)
            values = jaccard(*(batch[side("shingles", end)] for end in "ab"))
            yield from (_edges(batch, kind, holds) for kind, holds in _kinds(batch, values))


def _kinds(
    batch: pa.RecordBatch, values: npt.NDArray[np.float64]
) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    yield OF_NEAR, values >= NEAR
    own, headed = (
        pc.equal(batch[side(name, "a")], batch[side(name, "b")]).to_numpy(zero_copy_only=False)
        for name in ("cik_number", "heading_key")
    )
    yield OF_FAMILY, own & (values >= np.where(headed, FAMILY_BY_HEADING, FAMILY))


def _edges(batch: pa.RecordBatch, kind: int, holds: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    found = batch.filter(pa.array(holds))
    count = found.num_rows
    part = np.zeros(count, np.int64) if kind == OF_NEAR else found[side("cik_number", "a")]
    columns = {"kind": np.full(count, kind, np.int32), "part": part}
    return pa.record_batch(
        [columns.get(name, found[name] if name in found.schema.names else None)
         for name in EDGES.names],
        schema=EDGES,
    )  # fmt: skip


def jaccard(one: pa.Array, other: pa.Array) -> npt.NDArray[np.float64]:
    """Return the similarity of each pair of sets, given as sorted uint32 in bytes."""
    sides = (
        (np.frombuffer(content, np.uint32) for content in column.to_pylist())
        for column in (one, other)
    )
    return np.array([_similarity(*pair) for pair in zip(*sides, strict=True)], np.float64)


def _similarity(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> float:
    """Return the share of the union that both have. Two short sorted runs are soon one."""
    both = np.concatenate((one, other))
    both.sort()
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    return common / (len(both) - common)
