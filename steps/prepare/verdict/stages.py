"""What is decided about every row, in three stages; each one's rows are made once and kept.

    stages.run(staged, arguments)
    rows = stages.final(staged)               # every filing and example: reason, split, family

1. `decided`: exact duplicates, by keys (`steps.prepare.filings.decision`).
2. `links`: near duplicates and families, by sketches (`steps.prepare.repeats`).
3. `final`: the split, and what of eval is in train already (`steps.prepare.verdict.linked`).

Each is decided in rounds where the engine does not spill (`steps.prepare.rounds.rounds`), and all
of few rows in one task (`steps.prepare.verdict.few`). Whatever
is counted, checked or committed afterwards reads the final rows, and decides nothing again. No
stage reads a text, except those of two years that an example compares
(`steps.prepare.verdict.compared`), where the task mix has such examples.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arguments import Arguments
from steps.prepare.delta.staging.interface import Staged
from steps.prepare.filings import comparison, decision, judge
from steps.prepare.filings import split as splitting
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.filings.split import Split
from steps.prepare.repeats import links
from steps.prepare.rounds.rounds import Rounds
from steps.prepare.rounds.shards import WHOLE, Shard
from steps.prepare.schemas import files_for
from steps.prepare.session import at_most
from steps.prepare.verdict import compared, few, linked

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DECIDED, LINKS, LINKED, FINAL = "decided", "links", "linked", "final"
SPLIT, COMPARED = "split", "compared"
_KEPT = pa.schema(
    pa.field(name, pa.int64()) if name == "row" else judge.SCHEMA.field(name)
    for name in decision.DECIDED
)
_FINAL = pa.schema([*_KEPT, ("family_id", pa.string()), ("split", pa.string())])


def rounds(staged: Staged) -> Rounds:
    """Return the rounds in which the examples are decided."""
    return Rounds(staged, staged.shards(EXAMPLE))


def run(staged: Staged, arguments: Arguments) -> None:
    """Decide about every row and keep the result."""
    turns, compares = rounds(staged), arguments.tasks.compares
    split_of = partial(
        splitting.decided,
        arguments.split,
        fraction=arguments.eval_fraction,
        seed=arguments.seed,
    )
    kind = SPLIT if compares else FINAL
    if is_few(staged):
        staged.keep(kind, few.decided(staged, split_of), few.KEPT)
    else:
        count = _keep(staged, DECIDED, decision.decided(staged.read, turns), _KEPT)
        _keep(staged, LINKS, _links(staged, turns, count), links.LINKED)
        _keep(staged, LINKED, _linked(staged, turns), linked.LINKED)
        companies = staged.read(LINKED, ["cik", "near_id"]).where("near_id IS NULL")
        split = split_of([row["cik"] for row in companies.select("cik").distinct().collect()])
        _keep(staged, kind, _final(staged, turns, split), _FINAL)
    if compares:
        _compared(staged, turns)


def is_few(staged: Staged) -> bool:
    """Return whether one task can hold what is decided about all rows."""
    return rounds(staged).count == 1 and staged.count(FILING) + staged.count(EXAMPLE) <= few.MOST


def _compared(staged: Staged, turns: Rounds) -> None:
    """Make the examples that compare two years, and the final rows with these."""
    schema = few.KEPT if is_few(staged) else _FINAL
    rows = (staged.read(SPLIT, _FINAL.names, shard) for shard in turns.shards)
    _keep(staged, COMPARED, compared.made(rows, staged, turns), comparison.COMPARED)
    final_rows = (
        compared.replaced(
            staged.read(SPLIT, schema.names, shard),
            staged.read(COMPARED, comparison.COMPARED.names, shard),
        )
        for shard in turns.shards
    )
    _keep(staged, FINAL, final_rows, schema)


def _keep(staged: Staged, kind: str, frames: "Iterable[DataFrame]", schema: pa.Schema) -> int:
    """Keep the rows of all frames; return how many they are."""
    own = rounds(staged).own
    return sum(staged.keep(kind, frame, schema, own) for frame in frames)


def _links(staged: Staged, turns: Rounds, count: int) -> "Iterator[DataFrame]":
    def usable(shard: Shard, columns: Sequence[str]) -> "DataFrame":
        rows = staged.read(DECIDED, ("kind", "reason", "row"), shard).where(decision.usable())
        return rows.select("row").join(staged.read(EXAMPLE, columns, shard), "row")

    sketches = (usable(shard, links.SKETCH) for shard in turns.shards)
    return links.links(
        sketches, lambda shard: staged.read(EXAMPLE, links.SETS, shard), turns, count=count
    )


def _linked(staged: Staged, turns: Rounds) -> "Iterator[DataFrame]":
    def read(kind: str, schema: pa.Schema, shard: Shard) -> "DataFrame":
        return staged.read(kind, schema.names, shard)

    near = turns.by_row(
        "near_row",
        (linked.near(read(LINKS, links.LINKED, shard)) for shard in turns.shards),
        linked.NEAR,
        kind="near",
    )
    found = (
        linked.named(rows, staged.read(DECIDED, ["kind", "example_id"], shard))
        for shard, rows in zip(turns.shards, near, strict=True)
    )
    names = turns.by_row("row", found, linked.NAMED, kind="named")
    for shard, named in zip(turns.shards, names, strict=True):
        yield linked.linked(read(DECIDED, _KEPT, shard), read(LINKS, links.LINKED, shard), named)


def _final(staged: Staged, turns: Rounds, split: Split) -> "Iterator[DataFrame]":
    found = (staged.read(LINKED, linked.LINKED.names, shard) for shard in turns.shards)
    asked = (linked.asked(rows, split) for rows in found)
    equal = turns.by("equals", asked, linked.ASKED, kind="asked")
    answers = turns.by_row("row", map(linked.taught, equal), linked.TAUGHT, kind="taught")
    for shard, taught in zip(turns.shards, answers, strict=True):
        rows = staged.read(DECIDED, _KEPT.names, shard)
        yield linked.final(rows, staged.read(LINKED, linked.LINKED.names, shard), taught, split)


def final(staged: Staged, shard: Shard = WHOLE) -> "DataFrame":
    """Return the final rows, in a new frame: the keys inside its tasks are as old as it is."""
    return staged.read(FINAL, _FINAL.names, shard)


def finals(staged: Staged) -> "Iterator[DataFrame]":
    """Yield the final rows, shard by shard."""
    return (final(staged, shard) for shard in rounds(staged).shards)


def examples(staged: Staged, arguments: Arguments, *, rows: int) -> "DataFrame":
    """Return the kept examples with their texts, split and family; `rows` is their number."""
    kept = final(staged)
    if not arguments.tasks.compares:
        return staged.taken(EXAMPLE, decision.kept(kept), comparison.MADE, rows=rows)
    as_written = staged.taken(
        EXAMPLE, decision.kept(kept.where("compares = 0")), comparison.MADE, rows=rows
    )
    made = staged.read(COMPARED, comparison.COMPARED.names)
    made = made.repartition(at_most(files_for(rows)), "row")  # else a file for each shard
    return as_written.unionByName(made.select(*as_written.columns))
