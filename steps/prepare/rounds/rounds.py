"""Decide about all rows in rounds, so that no engine holds them all.

    rounds = Rounds(staged, 4)
    frames = rounds.by("text_sha256", [rows], schema, kind="texts")     # four frames, one by one
    found = (first_of_each(frame) for frame in frames)                  # each has whole keys
    sum(staged.keep("found", frame, schema, rounds.own) for frame in found)

Sail keeps in memory what it groups, joins and sorts, and never spills. So rows are first kept in
shards by the hash of a key, and each shard is decided alone: memory depends on the rows of a shard.
One round is one plan, without files between: that is for few rows, and for an engine that spills.
Steps are generators, so a round is not begun before the one before it is done.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.rounds.shards import Kept, Shard, Sharding

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_USES = count()  # a step may be done twice, each time with other rows


@dataclass(frozen=True)
class Rounds:
    """Where rows are kept between two steps, and in how many shards."""

    staged: Kept | None = None
    count: int = 1

    @property
    def shards(self) -> list[Shard]:
        """The shards, in the order in which `by` gives them."""
        return [Shard(number, self.count) for number in range(self.count)]

    @property
    def own(self) -> Sharding | None:
        """How rows are kept in the shards of their own number."""
        return Sharding("row", self.count, of_rows=True) if self.count > 1 else None

    def by(
        self, key: str, frames: "Iterable[DataFrame]", schema: pa.Schema, *, kind: str
    ) -> "Iterator[DataFrame]":
        """Yield a frame for each shard, with all rows of its keys; one frame as it is.

        Args:
            key: a column of `schema` without nulls.
            frames: the rows.
            schema: their columns.
            kind: a name for the rows between two steps.
        """
        yield from self._again(Sharding(key, self.count), frames, schema, kind)

    def by_row(
        self, key: str, frames: "Iterable[DataFrame]", schema: pa.Schema, *, kind: str
    ) -> "Iterator[DataFrame]":
        """Yield frames as `by`; `key` has numbers of rows, as in `Staged.read` with this shard."""
        yield from self._again(Sharding(key, self.count, of_rows=True), frames, schema, kind)

    def _again(
        self, sharding: Sharding, frames: "Iterable[DataFrame]", schema: pa.Schema, kind: str
    ) -> "Iterator[DataFrame]":
        if self.staged is None or self.count == 1:
            yield from frames
            return
        own = f"{kind}-{next(_USES)}"
        for frame in frames:
            self.staged.keep(own, frame, schema, sharding)
        for shard in self.shards:
            yield self.staged.read(own, schema.names, shard).select(*schema.names)


AT_ONCE = Rounds()
