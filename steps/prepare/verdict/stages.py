"""What is decided about every row, in three stages; each one's rows are made once and kept.

    split = stages.run(staged, arguments)
    rows = stages.final(staged)               # every filing and example: reason, split, family

1. `decided`: exact duplicates, by keys (`steps.prepare.filings.decision`).
2. `links`: near duplicates and families, by sketches (`steps.prepare.repeats`).
3. `final`: the split, and what of eval is in train already (`steps.prepare.verdict.linked`).

Each is decided in rounds where the engine does not spill (`steps.prepare.rounds.rounds`). Whatever
is counted, checked or committed afterwards reads the final rows, and decides nothing again. No
stage reads a text, except those of two years that an example compares
(`steps.prepare.verdict.compared`), where the task mix has such examples.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arguments import Arguments
from steps.prepare.delta.staging.interface import Staged
from steps.prepare.filings import comparison, decision, judge
from steps.prepare.filings import split as splitting
from steps.prepare.filings.judge import EXAMPLE
from steps.prepare.filings.split import Split
from steps.prepare.repeats import at_once, links, overlap
from steps.prepare.rounds.rounds import Rounds
from steps.prepare.rounds.shards import WHOLE, Shard
from steps.prepare.schemas import files_for
from steps.prepare.session import at_most, translated
from steps.prepare.task_mix import COMPARE
from steps.prepare.verdict import compared, linked

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

DECIDED, LINKS, LINKED, FINAL = "decided", "links", "linked", "final"
SPLIT, COMPARED = "split", "compared"
SIZES = (
    *((size, str(size)) for size in range(1, 5)),
    (8, "5 to 8"), (16, "9 to 16"), (2**63, "17 and more"),
)  # fmt: skip
_FAMILY = pa.schema([("family_id", pa.string())])

_KEPT = pa.schema(
    pa.field(name, pa.int64()) if name == "row" else judge.SCHEMA.field(name)
    for name in decision.DECIDED
)
_FINAL = pa.schema([*_KEPT, ("family_id", pa.string()), ("split", pa.string())])


def rounds(staged: Staged) -> Rounds:
    """Return the rounds in which the examples are decided."""
    return Rounds(staged, staged.shards(EXAMPLE))


def run(staged: Staged, arguments: Arguments) -> Split:
    """Decide about every row and keep the result; return the split."""
    turns = rounds(staged)
    count = _keep(staged, DECIDED, decision.decided(staged.read, turns), _KEPT)
    _keep(staged, LINKS, _links(staged, turns, count), at_once.LINKED)
    _keep(staged, LINKED, _linked(staged, turns), linked.LINKED)
    companies = staged.read(LINKED, ["cik", "near_id"]).where("near_id IS NULL")
    split = splitting.decided(
        arguments.split,
        [row["cik"] for row in companies.select("cik").distinct().collect()],
        fraction=arguments.eval_fraction,
        seed=arguments.seed,
    )
    if arguments.tasks.compares:
        _keep(staged, SPLIT, _final(staged, turns, split), _FINAL)
        _compared(staged, turns)
    else:
        _keep(staged, FINAL, _final(staged, turns, split), _FINAL)
    return split


def _compared(staged: Staged, turns: Rounds) -> None:
    """Make the examples that compare two years, and the final rows with these."""
    rows = (staged.read(SPLIT, _FINAL.names, shard) for shard in turns.shards)
    _keep(staged, COMPARED, compared.made(rows, staged, turns), comparison.COMPARED)
    final_rows = (
        compared.replaced(
            staged.read(SPLIT, _FINAL.names, shard),
            staged.read(COMPARED, comparison.COMPARED.names, shard),
        )
        for shard in turns.shards
    )
    _keep(staged, FINAL, final_rows, _FINAL)


def _keep(staged: Staged, kind: str, frames: "Iterable[DataFrame]", schema: pa.Schema) -> int:
    """Keep the rows of all frames; return how many they are."""
    own = rounds(staged).own
    return sum(staged.keep(kind, frame, schema, own) for frame in frames)


def _links(staged: Staged, turns: Rounds, count: int) -> "Iterator[DataFrame]":
    def usable(shard: Shard, columns: Sequence[str]) -> "DataFrame":
        rows = staged.read(DECIDED, ("kind", "reason", "row"), shard).where(decision.usable())
        return rows.select("row").join(staged.read(EXAMPLE, columns, shard), "row")

    if turns.count == 1 and count <= at_once.MOST:
        return iter([links.of_few(usable(WHOLE, at_once.TEXTS.names))])
    sketches = (usable(shard, links.SKETCH) for shard in turns.shards)
    return links.links(
        sketches, lambda shard: staged.read(EXAMPLE, links.SETS, shard), turns, count=count
    )


def _linked(staged: Staged, turns: Rounds) -> "Iterator[DataFrame]":
    def read(kind: str, schema: pa.Schema, shard: Shard) -> "DataFrame":
        return staged.read(kind, schema.names, shard)

    near = turns.by_row(
        "near_row",
        (linked.near(read(LINKS, at_once.LINKED, shard)) for shard in turns.shards),
        linked.NEAR,
        kind="near",
    )
    found = (
        linked.named(rows, staged.read(DECIDED, ["kind", "example_id"], shard))
        for shard, rows in zip(turns.shards, near, strict=True)
    )
    names = turns.by_row("row", found, linked.NAMED, kind="named")
    for shard, named in zip(turns.shards, names, strict=True):
        yield linked.linked(read(DECIDED, _KEPT, shard), read(LINKS, at_once.LINKED, shard), named)


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


def families_by_size(staged: Staged) -> dict[str, int]:
    """Return how many families have so many kept examples, by classes of `SIZES`."""
    turns = rounds(staged)
    named = ("family_id", "kind", "reason")
    rows = (
        staged.read(FINAL, named, shard).where(decision.usable()).select("family_id")
        for shard in turns.shards
    )
    counts = Counter[int]()
    with translated("count the families by size"):
        for frame in turns.by("family_id", rows, _FAMILY, kind="families"):
            sizes = frame.groupBy("family_id").count().withColumnRenamed("count", "size")
            counts.update({row["size"]: row["count"] for row in _collected(sizes, "size")})
    found = Counter[str]()
    for size, families in counts.items():
        found[next(name for most, name in SIZES if size <= most)] += families
    return {name: found[name] for _, name in SIZES if found[name]}


def by_template(staged: Staged) -> dict[str, int]:
    """Return the number of kept examples of each template, by name."""
    kept = final(staged).where(decision.usable()).select("row", "compares")
    rows = staged.read(EXAMPLE, ["template"]).join(kept, "row")
    with translated("count the examples of each template"):
        found = _collected(rows, "template", "compares")
    counts = Counter[str]()
    for row in found:
        counts[COMPARE if row["compares"] else row["template"]] += row["count"]
    return dict(sorted(counts.items()))


def _collected(rows: "DataFrame", *names: str) -> "list[Row]":
    return rows.groupBy(*names).count().collect()


def overlap_of(staged: Staged) -> float:
    """Return the share of eval's n-grams that train has too."""
    turns = rounds(staged)
    rows = (
        decision.kept(kept)
        .select("row", "split")
        .join(staged.read(EXAMPLE, ["grams"], shard), "row")
        for kept, shard in zip(finals(staged), turns.shards, strict=True)
    )
    with translated("compare eval with train"):
        return overlap.share(rows, turns)
