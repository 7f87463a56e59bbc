"""Shards: the rows of a part of the keys, and who keeps rows in them.

kept.keep("texts", frame, schema, Sharding("text_sha256", 4))
kept.read("texts", ["row"], Shard(0, 4))          # all rows of about a quarter of the texts
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Shard:
    """The rows of a part of the keys: part `number` of `of`, all rows of a key in one part."""

    number: int
    of: int


WHOLE = Shard(0, 1)


@dataclass(frozen=True)
class Sharding:
    """Rows in shards by the hash of the column `by`.

    With `of_rows` it has numbers of rows, and a shard has the rows of the same staged files as the
    same shard of the kernel's rows.
    """

    by: str
    of: int
    of_rows: bool = False


class Kept(Protocol):
    """Keeps rows between two steps (`steps.prepare.delta.staging.interface.Staged`)."""

    def read(self, kind: str, columns: Sequence[str], shard: Shard = WHOLE) -> "DataFrame":
        """Return these columns of a shard of the rows that were kept as a kind."""

    def keep(
        self, kind: str, rows: "DataFrame", schema: pa.Schema, sharding: Sharding | None = None
    ) -> int:
        """Make these rows now and keep them as a kind; return how many they are."""
