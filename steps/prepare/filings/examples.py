"""Make instruction examples of risk factors: from the body to the company's own heading.

    write(batch)      # pa.RecordBatch of kept filings -> one with SCHEMA, one row per risk factor

The answer is extractive: it is text of the filing, not of this project or another model. The
template has a version, which the manifest names. Each change of its words needs a new version,
which gives new example ids.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.prepare.filings.tasks import INSTRUCTIONS, asked
from steps.prepare.repeats.words import words
from steps.prepare.task_mix import COMPARE, HEADING, ONLY_HEADINGS, Mix
from steps.prepare.text.characters import LOST

TEMPLATE = HEADING
SYSTEM = (
    "You are a financial analyst who reads risk factors in SEC filings. "
    "You answer from the given text only and add nothing that it does not say."
)
INSTRUCTION = INSTRUCTIONS[HEADING]

BODY_TOO_SHORT = "body_too_short"
HEADING_IN_BODY = "heading_in_body"
DUPLICATE_EXAMPLE = "duplicate_example"
LOST_CHARACTERS = "lost_characters"
LATER_ITEMS = "later_items"

# In characters; about 50 to 1,400 tokens, so that a prompt fits 2,048 tokens.
SHORTEST_BODY, LONGEST_BODY = 200, 6_000


def _texts(*names: str) -> Iterator[tuple[str, pa.DataType]]:
    return ((name, pa.string()) for name in names)


SCHEMA = pa.schema(
    [
        *_texts("example_id", "cik", "company", "sic", "filing_type", "filing_date"),
        ("year", pa.int32()),
        *_texts("section", "source_filing", "filing_id", "section_sha256", "raw_sha256"),
        *_texts("system", "prompt", "completion"),
        *_texts("text_sha256", "reason", "detail", "template"),
        # Of a risk factor: its words (the body's), and a number for those of the heading.
        ("body_words", pa.binary()),
        ("heading_key", pa.int64()),
        # Its order among all: the filing's day, then a digest of filing and position.
        ("rank", pa.int64()),
        # Whether two years are to be compared, and where in the prompt the body begins.
        ("compares", pa.int32()),
        ("text_at", pa.int32()),
    ]
)
_OF_THE_FILING = (
    "cik", "company", "sic", "filing_type", "filing_date", "year", "section", "source_filing",
    "filing_id", "section_sha256", "raw_sha256",
)  # fmt: skip
_FIRST_DAY = date(1970, 1, 1).toordinal()
_DAY_BITS = 16  # until 2149
_SENTENCE_END = re.compile(r"[.!?][\"'”’)]*(?=\s)")


class _Made(NamedTuple):
    """The columns of a row that are not the filing's."""

    example_id: str
    text_sha256: str
    reason: str | None
    detail: str | None
    system: str | None = None
    prompt: str | None = None
    completion: str | None = None
    template: str | None = None
    body_words: bytes | None = None
    heading_key: int | None = None
    rank: int | None = None
    compares: int | None = None
    text_at: int | None = None


class _Worded(NamedTuple):
    """What depends on a risk factor's heading and body alone."""

    shown: str
    body_words: bytes
    text_sha256: str
    heading_key: int
    reason: str | None


def write(batch: pa.RecordBatch, mix: Mix = ONLY_HEADINGS, *, seed: int = 0) -> pa.RecordBatch:
    """Return one example per risk factor, usable (`reason` null) or rejected.

    `mix` and `seed` decide the template of each (`steps.prepare.task_mix`).

    A filing whose section ran on into later items has one more row, rejected.
    """
    # A company's filing of the next year has most risk factors again
    worded = lru_cache(maxsize=None)(_worded)
    drawn = partial(mix.drawn, seed=seed)
    rows = [row for filing in batch.to_pylist() for row in _of_filing(filing, drawn, worded)]
    made = {name: [row[at] for row in rows] for at, name in enumerate(_Made._fields)}
    filings = np.repeat(np.arange(batch.num_rows), rows_of(batch).to_numpy())
    columns = [
        batch[field.name].take(pa.array(filings))
        if field.name in _OF_THE_FILING
        else pa.array(made[field.name], field.type)
        for field in SCHEMA
    ]
    return pa.record_batch(columns, schema=SCHEMA)


def rows_of(batch: pa.RecordBatch) -> pa.Array:
    """Return the number of rows that `write` makes of each filing, in the same order."""
    left_out = pc.is_valid(batch["left_out"]).cast(pa.int32())
    return pc.add(pc.coalesce(pc.list_value_length(batch["risk_factors"]), 0), left_out)


def _of_filing(
    filing: dict[str, Any], drawn: Callable[[str, int], str], worded: Callable[[str, str], _Worded]
) -> Iterator[_Made]:
    for position, factor in enumerate(filing["risk_factors"] or ()):
        template = drawn(str(filing["filing_id"]), position)
        yield _example(filing, position, template, worded(factor["heading"], factor["body"]))
    if filing["left_out"]:
        yield _left_out(filing)


def _left_out(filing: dict[str, Any]) -> _Made:
    """Return a row for the rejected table: the later items that the section ran on into.

    Its digest is unique, so that it is never a duplicate.
    """
    identity = example_id(str(filing["filing_id"]), -1)
    return _Made(
        example_id=identity, text_sha256=identity, reason=LATER_ITEMS, detail=filing["left_out"]
    )


def _worded(heading: str, body: str) -> _Worded:
    shown = bounded(body)
    of_heading, of_body = words(heading), words(shown)
    return _Worded(
        shown,
        of_body,
        _sha256(of_heading, of_body),
        int.from_bytes(hashlib.sha256(of_heading).digest()[:8]) >> 1,
        _reason(heading, shown),
    )


def _example(filing: dict[str, Any], position: int, drawn: str, worded: _Worded) -> _Made:
    """Return the example of one risk factor; without an answer to `drawn` it is of `HEADING`."""
    factors, identity = filing["risk_factors"], str(filing["filing_id"])
    heading, shown, reason = factors[position]["heading"], worded.shown, worded.reason
    found = asked(drawn, identity, factors, position)
    template = HEADING if found is None else drawn
    before, answer = found or ("", heading)
    name = example_id(identity, position, template)
    asked_for = prompt(filing, f"{before}\n\n{shown}" if before else shown, template)
    return _Made(
        example_id=name,
        system=SYSTEM,
        prompt=asked_for,
        compares=int(drawn == COMPARE),
        text_at=len(asked_for) - len(shown),
        completion=answer,
        template=template,
        text_sha256=worded.text_sha256,
        body_words=worded.body_words,
        heading_key=worded.heading_key,
        rank=rank(
            _day(filing["filing_date"]),
            name if template == HEADING else example_id(identity, position),
        ),
        reason=reason,
        detail=None if reason is None else f"risk factor {position}: {heading[:200]}",
    )


def example_id(filing_id: str, position: int, template: str = HEADING) -> str:
    """Return an id that depends on filing, position and template only, so that runs agree."""
    return hashlib.sha256(f"{filing_id}\x1f{position}\x1f{template}".encode()).hexdigest()[:24]


def prompt(filing: dict[str, object], shown: str, template: str = HEADING) -> str:
    """Return the template's instruction, a blank line, and what it is about."""
    about = {"form": filing["filing_type"], "company": filing["company"], "year": filing["year"]}
    return f"{INSTRUCTIONS[template].format(**about)}\n\n{shown}"


def bounded(body: str) -> str:
    """Return the body, cut after its last whole sentence within `LONGEST_BODY` characters."""
    if len(body) <= LONGEST_BODY:
        return body
    start = body[: LONGEST_BODY + 1]
    ends = [match.end() for match in _SENTENCE_END.finditer(start)]
    return start[: ends[-1] if ends and ends[-1] >= SHORTEST_BODY else LONGEST_BODY].rstrip()


def text_sha256(heading: str, body: str) -> str:
    """Return a digest of the words; case, quotation marks and spacing do not count."""
    return _sha256(words(heading), words(body))


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b" ".join(part for part in parts if part)).hexdigest()


def rank(day: int, identity: str) -> int:
    """Return a number that orders risk factors by day, then by 47 bits of the example's id.

    The id is that of the template `HEADING`, so that no template changes the order.
    """
    return day << (63 - _DAY_BITS) | int(identity[:12], 16) >> 1


@lru_cache(maxsize=1_024)
def _day(text: str) -> int:
    """Return the days of YYYY-MM-DD since 1970, at least 0."""
    days = date.fromisoformat(text).toordinal() - _FIRST_DAY
    return min(max(days, 0), (1 << _DAY_BITS) - 1)


def _reason(heading: str, body: str) -> str | None:
    if LOST in heading or LOST in body:
        return LOST_CHARACTERS
    if len(body) < SHORTEST_BODY:
        return BODY_TOO_SHORT
    return HEADING_IN_BODY if heading.rstrip(".").casefold() in body.casefold() else None
