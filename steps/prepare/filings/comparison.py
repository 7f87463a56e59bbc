"""Examples of two years of one risk factor: which sentences are new.

    map_in_arrow(pairs, compared, COMPARED)      # pairs have GIVEN

The answer is text of the later filing. A pair has no answer if both texts together are longer than
one example's may be (nothing is cut: an answer could miss its sentence), if nothing is new, or if
more than half of the sentences are: then the texts are not two years of one thing.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from steps.prepare.filings import judge
from steps.prepare.filings.examples import LONGEST_BODY, SCHEMA, example_id
from steps.prepare.filings.tasks import INSTRUCTIONS
from steps.prepare.repeats.words import words
from steps.prepare.schemas import EXAMPLES
from steps.prepare.task_mix import COMPARE
from steps.prepare.text.sentences import sentences

MADE = tuple(name for name in EXAMPLES.names if name not in judge.GIVEN)
CARRIED = ("row", "split", "family_id")
_BEFORE = pa.schema(
    [("before_prompt", pa.string()), ("before_at", pa.int32()), ("before_year", pa.int32())]
)
_CARRIED = pa.schema([("row", pa.int64()), ("split", pa.string()), ("family_id", pa.string())])
GIVEN = (*MADE, "text_at", *CARRIED, *_BEFORE.names)
_MADE = pa.schema([SCHEMA.field(name) for name in MADE])
COMPARED = pa.schema([*_MADE, *_CARRIED, ("fingerprint", pa.string())])


def compared(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the examples of the pairs that have an answer."""
    for batch in batches:
        rows = [made for row in batch.to_pylist() if (made := _example(row))]
        found = pa.RecordBatch.from_pylist(
            [row | {"reason": None} for row in rows],
            schema=pa.schema([*_MADE, *_CARRIED, ("reason", pa.string())]),
        )
        prints = pa.array(judge.fingerprints(found), pa.string())
        columns = [*(found[name] for name in COMPARED.names[:-1]), prints]
        yield pa.record_batch(columns, schema=COMPARED)


def _example(row: dict[str, Any]) -> dict[str, Any] | None:
    before, later = row["before_prompt"][row["before_at"] :], row["prompt"][row["text_at"] :]
    answer = new_sentences(before, later)
    if not answer or len(before) + len(later) > LONGEST_BODY:
        return None
    instruction = INSTRUCTIONS[COMPARE].format(
        company=row["company"],
        form=row["filing_type"],
        before=row["before_year"],
        year=row["year"],
    )
    years = ((row["before_year"], before), (row["year"], later))
    shown = "\n\n".join(f"{year}:\n{text}" for year, text in years)
    return row | {
        # Of the later example's own id, so that it is the same in every run
        "example_id": example_id(row["example_id"], 0, COMPARE),
        "prompt": f"{instruction}\n\n{shown}",
        "completion": answer,
    }


def new_sentences(before: str, later: str) -> str | None:
    """Return the sentences of `later` whose words `before` has in none, one on a line."""
    known = {words(sentence) for sentence in sentences(before)}
    there = sentences(later)
    found = [sentence for sentence in there if words(sentence) not in known]
    return "\n".join(found) if found and 2 * len(found) <= len(there) else None
