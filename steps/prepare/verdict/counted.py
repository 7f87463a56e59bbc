"""What is counted of the final rows before anything is committed: on Spark, or of few in one task.

numbers = counted(staged, arguments)      # steps.prepare.verdict.numbers.Numbers
"""

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arguments import Arguments
from steps.prepare.delta.staging.interface import Staged
from steps.prepare.filings import decision, vocabulary
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.repeats import overlap
from steps.prepare.session import translated
from steps.prepare.task_mix import COMPARE
from steps.prepare.verdict import few, few_counted, stages
from steps.prepare.verdict.numbers import Numbers
from steps.prepare.verdict.surveyed import survey

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

_FAMILY = pa.schema([("family_id", pa.string())])


def counted(staged: Staged, arguments: Arguments) -> Numbers:
    """Count the final rows (`stages.run`)."""
    if stages.is_few(staged):
        with translated("count the decided rows"):
            return few_counted.counted(staged.read(stages.FINAL, few.KEPT.names))
    found = survey(stages.finals(staged), stages.rounds(staged))
    with translated("count the words of the filings"):
        words = vocabulary.total(staged.read(FILING, (vocabulary.NAME,)))
    templates = _templates(staged) if len(arguments.tasks.shares) > 1 else {}
    return Numbers(found.groups, _family_sizes(staged), templates, words, _overlap(staged))


def _family_sizes(staged: Staged) -> dict[int, int]:
    """Return how many families have so many kept examples."""
    turns = stages.rounds(staged)
    named = ("family_id", "kind", "reason")
    rows = (
        staged.read(stages.FINAL, named, shard).where(decision.usable()).select("family_id")
        for shard in turns.shards
    )
    counts = Counter[int]()
    with translated("count the families by size"):
        for frame in turns.by("family_id", rows, _FAMILY, kind="families"):
            sizes = frame.groupBy("family_id").count().withColumnRenamed("count", "size")
            counts.update({row["size"]: row["count"] for row in _collected(sizes, "size")})
    return counts


def _templates(staged: Staged) -> dict[str, int]:
    """Return the number of kept examples of each template, by name."""
    kept = stages.final(staged).where(decision.usable()).select("row", "compares")
    rows = staged.read(EXAMPLE, ["template"]).join(kept, "row")
    with translated("count the examples of each template"):
        found = _collected(rows, "template", "compares")
    counts = Counter[str]()
    for row in found:
        counts[COMPARE if row["compares"] else row["template"]] += row["count"]
    return counts


def _collected(rows: "DataFrame", *names: str) -> "list[Row]":
    return rows.groupBy(*names).count().collect()


def _overlap(staged: Staged) -> float:
    """Return the share of eval's n-grams that train has too."""
    turns = stages.rounds(staged)
    rows = (
        decision.kept(kept)
        .select("row", "split")
        .join(staged.read(EXAMPLE, ["grams"], shard), "row")
        for kept, shard in zip(stages.finals(staged), turns.shards, strict=True)
    )
    with translated("compare eval with train"):
        return overlap.share(rows, turns)
