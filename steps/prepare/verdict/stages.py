"""What is decided about every row, in three stages; each one's rows are made once and kept.

    split = stages.run(staged, arguments)
    rows = stages.final(staged)               # every filing and example: reason, split, family

1. `decided`: exact duplicates, by keys (`steps.prepare.filings.decision`).
2. `links`: near duplicates and families, by sketches (`steps.prepare.repeats`).
3. `final`: the split, and what of eval is in train already.

Whatever is counted, checked or committed afterwards reads the final rows, and decides nothing
again. No stage reads a text.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arguments import Arguments
from steps.prepare.delta.staging.interface import Staged
from steps.prepare.filings import decision, judge
from steps.prepare.filings import split as splitting
from steps.prepare.filings.judge import EXAMPLE
from steps.prepare.filings.split import Split
from steps.prepare.repeats import links, overlap
from steps.prepare.session import translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DECIDED, LINKS, FINAL = "decided", "links", "final"

_KEPT = pa.schema(
    pa.field(name, pa.int64()) if name == "row" else judge.SCHEMA.field(name)
    for name in decision.DECIDED
)
_FINAL = pa.schema([*_KEPT, ("family_id", pa.string()), ("split", pa.string())])


def run(staged: Staged, arguments: Arguments) -> Split:
    """Decide about every row and keep the result; return the split."""
    count = staged.keep(DECIDED, decision.decided(staged.read), _KEPT)
    usable = staged.read(DECIDED, _KEPT.names).where(decision.usable())
    rows = usable.select("row")
    found = links.links(
        staged.read(EXAMPLE, links.SKETCH).join(rows, "row", "left_semi"),
        staged.read(EXAMPLE, links.SETS),
        count=count,
    )
    staged.keep(LINKS, found, links.LINKED)
    linked = decision.linked(
        staged.read(DECIDED, _KEPT.names),
        staged.read(LINKS, links.LINKED.names),
        staged.read(DECIDED, ["kind", "example_id"]),
    )
    companies = linked.where(decision.usable()).select("cik").distinct().collect()
    split = splitting.decided(
        arguments.split,
        [row["cik"] for row in companies],
        fraction=arguments.eval_fraction,
        seed=arguments.seed,
    )
    staged.keep(FINAL, decision.final(linked, split), _FINAL)
    return split


def final(staged: Staged) -> "DataFrame":
    """Return the final rows, in a new frame: the keys inside its tasks are as old as it is."""
    return staged.read(FINAL, _FINAL.names)


def overlap_of(staged: Staged) -> float:
    """Return the share of eval's n-grams that train has too."""
    kept = decision.kept(final(staged)).select("row", "split")
    with translated("compare eval with train"):
        return overlap.share(staged.read(EXAMPLE, ["grams"]).join(kept, "row"))
