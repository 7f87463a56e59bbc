"""What a store does with the rows that the kernel makes: it keeps them, and reads them again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Kernel:
    """A pure function of raw rows, whose column names it gets in lower case.

    Its rows have `schema`, of text and int32. The first column, `kind`, is one of `kinds`.
    """

    run: Callable[[pa.RecordBatch], pa.RecordBatch]
    schema: pa.Schema
    kinds: tuple[str, ...]


class Staged(Protocol):
    """The rows that a kernel made, kept until the end of the job and never made again."""

    def read(self, kind: str, columns: Sequence[str]) -> "DataFrame":
        """Return these columns of the rows of one kind, and `row` (bigint), which names the row."""

    def taken(
        self, kind: str, wanted: "DataFrame", columns: Sequence[str], *, rows: int
    ) -> "DataFrame":
        """Return these columns of the wanted rows, in tasks of about a data file's rows.

        `wanted` has `row` and `split`, the result `split` and the columns. `rows` is their number.
        """
