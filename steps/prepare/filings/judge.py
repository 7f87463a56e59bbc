"""The kernel of Prepare: judge raw filings, and write the risk factors of the usable ones.

    kernel(batch)      # pa.RecordBatch of raw rows -> one row per filing and one per risk factor

It runs once for each filing (`steps.prepare.delta.store.Staged`). What depends on other rows is
decided afterwards, on the narrow columns of its result (`steps.prepare.filings.decision`): a
filing's text does not leave the kernel, only its digests and its examples.
"""

import hashlib
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from steps.prepare.filings import examination, examples, vocabulary
from steps.prepare.filings.measures import MEASURES
from steps.prepare.filings.quality import screening
from steps.prepare.filings.quality.screening import Screen
from steps.prepare.repeats.sketch import Sketches, sketched
from steps.prepare.schemas import EXAMPLES
from steps.prepare.task_mix import ONLY_HEADINGS, Mix

FILING, EXAMPLE = "filing", "example"

_FILING_FIELDS = tuple(name for name in examination.SCHEMA.names if name not in {"risk_factors"})
_EXAMPLE_FIELDS = tuple(
    name for name in examples.SCHEMA.names if name not in (*_FILING_FIELDS, "body_words")
)
# `filing_key` is equal for equal filings only; `fingerprint` is the digest of an example as the
# curated table will hold it.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "filing_key", "fingerprint")),
        *(examination.SCHEMA.field(name) for name in _FILING_FIELDS),
        *(examples.SCHEMA.field(name) for name in _EXAMPLE_FIELDS),
        *((name, pa.int32()) for name in MEASURES),
        (vocabulary.NAME, pa.string()),  # of a usable filing
        # Of a usable example: the company's number, and what repeats are found by.
        ("cik_number", pa.int64()),
        *((name, pa.binary()) for name in Sketches._fields),
    ]
)
# Columns that a store may keep apart: the texts, and what repeats are found by.
APART = (("system", "prompt", "completion"), Sketches._fields)
# Columns that are known only when all rows are. The digest of a table's rows includes them next to
# each row's own digest (`steps.prepare.filings.survey`).
GIVEN = frozenset({"execution_id", "split", "family_id"})
NULL, SEPARATOR = "\x00", "\x1f"  # of a fingerprint's text


@dataclass(frozen=True)
class Settings:
    """What examples ask for, and which of them are rejected."""

    screen: Screen = field(default_factory=Screen)
    tasks: Mix = ONLY_HEADINGS
    seed: int = 0


def kernel(batch: pa.RecordBatch, settings: Settings = Settings()) -> pa.RecordBatch:
    """Return a row per filing, and a row per risk factor of the usable filings."""
    found = examination.examine(batch)
    narrow = found.select(list(_FILING_FIELDS))
    keys = [_digest(row) for row in narrow.to_pylist()]
    kept = pa.record_batch(
        [*found.columns, keys], names=[*found.schema.names, "filing_key"]
    ).filter(pc.is_null(found["reason"]))
    kept, in_factors = screening.screened(kept, settings.screen)
    reasons = narrow["reason"].to_pylist()
    words = iter(vocabulary.counted(kept["risk_factors"]))
    written = examples.write(kept, settings.tasks, seed=settings.seed)
    written = screening.marked(written, in_factors)
    counts = examples.rows_of(kept).to_pylist()
    of_filings = [
        key
        for key, count in zip(kept["filing_key"].to_pylist(), counts, strict=True)
        for _ in range(count)
    ]
    return pa.concat_batches(
        [
            _rows(
                narrow,
                kind=FILING,
                filing_key=keys,
                fingerprint=None,
                vocabulary=[next(words) if reason is None else None for reason in reasons],
            ),
            _rows(
                written,
                kind=EXAMPLE,
                filing_key=of_filings,
                fingerprint=fingerprints(written),
                **sketches(written),
            ),
        ]
    )


def fingerprints(examples: pa.RecordBatch) -> list[str | None]:
    """Return the sha256 of each usable example; null and empty text differ."""
    names = [name for name in EXAMPLES.names if name not in GIVEN]
    rows = pl.DataFrame(examples.select([*names, "reason"]))
    texts = rows.select(
        pl.when(pl.col("reason").is_null()).then(
            pl.concat_str(
                [pl.col(name).cast(pl.String).fill_null(NULL) for name in names],
                separator=SEPARATOR,
            )
        )
    ).to_series()
    return [None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in texts]


def sketches(written: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return the company's number and the sketch of each usable example; null for any other."""
    usable = pc.is_null(written["reason"])
    ciks = pc.if_else(usable, written["cik"], pa.scalar(None, pa.string())).cast(pa.int64())
    texts = pc.if_else(usable, written["body_words"], pa.scalar(None, pa.binary()))
    headings = pc.fill_null(written["heading_key"], 0)
    found = sketched(texts.to_pylist(), pc.fill_null(ciks, 0).to_pylist(), headings.to_pylist())
    return {"cik_number": ciks, **found._asdict()}


def _digest(values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()


def _rows(batch: pa.RecordBatch, **given: object) -> pa.RecordBatch:
    """Return the batch's columns and the given ones with `SCHEMA`; any other is null."""
    there, size = set(batch.schema.names), batch.num_rows
    columns = []
    for each in SCHEMA:
        if each.name not in given:
            column = batch[each.name] if each.name in there else pa.nulls(size, each.type)
        elif isinstance(value := given[each.name], str) or value is None:
            column = pa.repeat(pa.scalar(value, each.type), size)
        elif isinstance(value, pa.Array):
            column = value
        else:
            column = pa.array(value, each.type)
        columns.append(column)
    return pa.record_batch(columns, schema=SCHEMA)
