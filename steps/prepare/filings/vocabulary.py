"""The words of a filing's risk factors, counted in 64 groups by the CRC-32 of the word.

    counted(batch["risk_factors"])      # ["0,2,…", …], one text of 64 counts a filing
    total(filings)                      # the sums over the usable filings

Of each risk factor the heading and the body's first 300 characters count, in small letters. Groups
and not words, so that the numbers can be published with the commit and have a fixed size.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from steps.prepare.arrow_tasks import map_in_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

GROUPS = 64
NAME = "vocabulary"
_SUMS = pa.schema([(f"group{group}", pa.int64()) for group in range(GROUPS)])
BEGINNING = 300  # characters of a body


def counted(filings: pa.ListArray) -> list[str]:
    """Return the counts of each filing's risk factors (heading, body), as text."""
    return [
        _counts(f"{factor['heading']} {factor['body'][:BEGINNING]}" for factor in factors or ())
        for factors in filings.to_pylist()
    ]


def _counts(texts: Iterable[str]) -> str:
    counts = [0] * GROUPS
    for word, number in Counter(" ".join(texts).lower().split()).items():
        counts[_group(word)] += number
    return ",".join(map(str, counts))


@lru_cache(maxsize=100_000)
def _group(word: str) -> int:
    return zlib.crc32(word.encode()) % GROUPS


def total(filings: "DataFrame") -> list[int]:
    """Return the sums over the filings that the kernel found usable, repeated ones too.

    One small Spark action over one narrow column; each task gives one row.
    """
    parts = map_in_arrow(filings.select(NAME), _added, _SUMS).collect()
    return [sum(numbers) for numbers in zip([0] * GROUPS, *parts, strict=True)]


def _added(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the sums of the texts' counts, one column a group."""
    texts = (text for batch in batches for text in batch.column(0).drop_null().to_pylist())
    yield pa.record_batch([pa.array([number]) for number in summed(texts)], schema=_SUMS)


def summed(texts: Iterable[str]) -> list[int]:
    """Return the sums of the counts of filings, given as text."""
    sums = np.zeros(GROUPS, np.int64)
    for text in texts:
        sums += np.array(text.split(","), np.int64)
    return [int(number) for number in sums]
