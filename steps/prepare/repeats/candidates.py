"""Candidate pairs of a bucket: texts that share a key of their sketches, without all pairs.

    map_in_arrow(sketches, exploded, BUCKETS)     # row, rank, bands -> one row for each key
    map_in_arrow(buckets, paired, PAIRS)          # buckets, each whole in one task -> pairs

A bucket of n texts gives at most 4 · n pairs: each text is paired with the first of the bucket and
with the three before it, in the order of their ranks. Up to five texts, that is every pair. In a
larger bucket the first one is most texts' nearest if one paragraph is in many filings, and the ones
before are the last years' if a company repeats itself; what neither finds, another key may find.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.prepare.repeats.sketch import KEYS

BUCKETS = pa.schema([(name, pa.int64()) for name in ("key", "row", "rank")])
PAIRS = pa.schema([(name, pa.int64()) for name in ("a", "b")])
# 24 bytes each; a task sorts its own, in about four times as much memory.
BUCKET_ROWS_PER_TASK = 500_000
_BEFORE = 3

Ints = npt.NDArray[np.int64]


def tasks_for(texts: int) -> int:
    """Return the number of tasks for the buckets of so many texts."""
    return max(1, -(-texts * KEYS // BUCKET_ROWS_PER_TASK))


def exploded(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return one row for each key of each text that has a sketch."""
    for batch in batches:
        there = batch.filter(batch["bands"].is_valid())
        keys = np.frombuffer(b"".join(there["bands"].to_pylist()), np.int64)
        columns = [keys, *(np.repeat(there[name].to_numpy(), KEYS) for name in ("row", "rank"))]
        yield pa.record_batch([pa.array(column) for column in columns], schema=BUCKETS)


def paired(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the candidate pairs of all buckets; `a` is the text of the smaller rank.

    A pair of two buckets is there twice.
    """
    table = pa.Table.from_batches(
        [batch.select(BUCKETS.names).cast(BUCKETS) for batch in batches], schema=BUCKETS
    )
    keys, rows, ranks = (table[name].to_numpy() for name in BUCKETS.names)
    shared = np.flatnonzero(_repeated(keys))
    order = shared[np.lexsort((rows[shared], ranks[shared], keys[shared]))]
    first, second = _neighbours(keys[order])
    pairs = np.unique(np.stack([rows[order][first], rows[order][second]], axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    yield pa.record_batch([pa.array(pairs[:, side]) for side in range(2)], schema=PAIRS)


def _repeated(keys: Ints) -> npt.NDArray[np.bool_]:
    """Return which keys are there more than once."""
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return np.zeros(len(keys), bool)
    places = np.minimum(np.searchsorted(twice, keys), len(twice) - 1)
    found: npt.NDArray[np.bool_] = twice[places] == keys
    return found


def _neighbours(ordered: Ints) -> tuple[Ints, Ints]:
    """Return the positions of the pairs in sorted keys."""
    positions = np.arange(len(ordered))
    begins = np.ones(len(ordered), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(begins, positions, 0))
    far = np.flatnonzero(positions - first > _BEFORE)
    found = [(first[far], far)]
    for distance in range(1, _BEFORE + 1):
        near = np.flatnonzero(positions - first >= distance)
        found.append((near - distance, near))
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])
