"""The words of a filing's risk factors, counted in 64 groups by the CRC-32 of the word.

    counted(batch["risk_factors"])      # ["0,2,…", …], one text of 64 counts a filing
    total(filings)                      # the sums over the usable filings

Of each risk factor the heading and the body's first 300 characters count, in small letters. Groups
and not words, so that the numbers can be published with the commit and have a fixed size.
"""

import zlib
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

GROUPS = 64
NAME = "vocabulary"
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

    One small Spark action over narrow rows.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    usable = filings.where(F.col(NAME).isNotNull()).select(F.split(NAME, ",").alias("counts"))
    sums = [F.sum(F.col("counts")[group].cast("bigint")) for group in range(GROUPS)]
    added = usable.agg(*(number.alias(f"group{group}") for group, number in enumerate(sums)))
    row = added.collect()[0]
    return [int(value or 0) for value in row]
