"""What a store does with the rows that the kernel makes: it keeps them, and reads them again.

staged.read("example", ["rank", "bands"])         # and `row`, which names the row
staged.keep("decided", frame, schema)             # rows that were made of these, kept as well
staged.read("decided", ["reason"])
staged.keep("text", frame, schema, Sharding("text_sha256", 4))     # in shards, by a key
staged.read("text", ["row"], Shard(0, 4))                          # all rows of some keys
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from steps.prepare.rounds.shards import WHOLE, Shard, Sharding

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Kernel:
    """A pure function of raw rows, whose column names it gets in lower case.

    Its rows have `schema`, of text, bytes and whole numbers. The first column, `kind`, is one of
    `kinds`. The columns of each part of `apart` are large and seldom read together with the others.
    """

    run: Callable[[pa.RecordBatch], pa.RecordBatch]
    schema: pa.Schema
    kinds: tuple[str, ...]
    apart: tuple[tuple[str, ...], ...] = ()

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """All columns once: first those that are in no part, then each part."""
        others = {name for part in self.apart for name in part}
        return (tuple(name for name in self.schema.names if name not in others), *self.apart)


# What is known of a row only when all are, and comes with the wanted rows.
CARRIED = ("split", "family_id")


class Staged(Protocol):
    """The rows that a kernel made, kept until the end of the job and never made again."""

    def shards(self, kind: str) -> int:
        """Return in how many shards to decide about the rows of a kind; 1 if the engine spills."""

    def count(self, kind: str) -> int:
        """Return the number of the rows of a kind."""

    def read(self, kind: str, columns: Sequence[str], shard: Shard = WHOLE) -> "DataFrame":
        """Return these columns of the rows of one kind, and `row` (bigint), which names the row.

        The numbers name a row within its kind. Kept rows have the `row` that they were kept with.
        """

    def keep(
        self, kind: str, rows: "DataFrame", schema: pa.Schema, sharding: Sharding | None = None
    ) -> int:
        """Make these rows now and keep them as another kind; return how many they are.

        They have the columns of `schema`, and are not made again. Rows of a kind that has some
        already are added. A kind whose rows are read with `row` has it in `schema`.
        """

    def taken(
        self, kind: str, wanted: "DataFrame", columns: Sequence[str], *, rows: int
    ) -> "DataFrame":
        """Return these columns of the wanted rows, in tasks of about a data file's rows.

        `wanted` has `row` and `CARRIED`, the result the columns and `CARRIED`. `rows` is their
        number.
        """
