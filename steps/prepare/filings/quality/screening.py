"""Screen the risk factors of usable filings: scrub personal data, judge quality, measure.

    filings, found = screened(filings, Screen())      # found: one row for each risk factor
    examples = marked(examples.write(filings), found)

The text that leaves is the scrubbed one, in the table of rejected rows and in messages too.
"""

from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from steps.prepare.filings import examples
from steps.prepare.filings.measures import BODY, HEADING, MEASURES, SCRUBBED, WITHOUT_SIC
from steps.prepare.filings.quality import personal_data

_FIELDS = [pa.field(name, pa.int32()) for name in MEASURES]


@dataclass(frozen=True)
class Screen:
    """What is looked for. `scrub` names kinds of personal data, in any order."""

    scrub: tuple[str, ...] = tuple(personal_data.KINDS)


def screened(filings: pa.RecordBatch, screen: Screen) -> tuple[pa.RecordBatch, pl.DataFrame]:
    """Return the filings with scrubbed risk factors, and what was found in each factor, in order."""
    lists = filings["risk_factors"]
    factors = lists.flatten()
    headings, bodies = (pl.Series(factors.field(number)) for number in range(2))
    texts, scrubs = _scrubbed(pl.concat([headings, bodies], rechunk=True), screen)
    headings, bodies = texts.head(len(headings)), texts.tail(len(bodies))
    parents = pc.list_parent_indices(lists)
    found = pl.DataFrame(
        {
            HEADING: headings.str.len_chars(),
            BODY: bodies.str.len_chars(),
            WITHOUT_SIC: pl.Series(filings["sic"].is_null().take(parents)),
            **{
                name: counts.head(len(headings)) + counts.tail(len(headings))
                for name, counts in scrubs.items()
            },
        }
    )
    ints = found.select(pl.col(name).cast(pl.Int32) for name in MEASURES)
    made = pa.StructArray.from_arrays(
        [headings.to_arrow().cast(pa.string()), bodies.to_arrow().cast(pa.string())],
        names=["heading", "body"],
    )
    return _with(filings, "risk_factors", _relisted(lists, made)), ints


def marked(written: pa.RecordBatch, found: pl.DataFrame) -> pa.RecordBatch:
    """Return the examples with what was found in them; the row of later items has no measures."""
    of_factors = pc.fill_null(pc.not_equal(written["reason"], examples.LATER_ITEMS), True)
    rows = pa.array(pc.subtract(pc.cumulative_sum(of_factors.cast(pa.int32())), 1))
    rows = pc.if_else(of_factors, rows, pa.scalar(None, pa.int32()))
    columns = [found[name].to_arrow().take(rows) for name in MEASURES]
    return pa.record_batch(
        [*written.columns, *columns], schema=pa.schema([*written.schema, *_FIELDS])
    )


def _scrubbed(texts: pl.Series, screen: Screen) -> tuple[pl.Series, dict[str, pl.Series]]:
    none = pl.repeat(0, len(texts), dtype=pl.Int32, eager=True)
    counts = dict.fromkeys(SCRUBBED.values(), none)
    for name, kind in personal_data.KINDS.items():
        if name in screen.scrub:
            texts, counts[SCRUBBED[name]] = personal_data.scrubbed(texts, kind)
    return texts, counts


def _relisted(lists: pa.ListArray, values: pa.Array) -> pa.ListArray:
    """Return lists as long as the old ones, of new values."""
    lengths = pc.coalesce(pc.list_value_length(lists), 0)
    ends = pc.cumulative_sum(lengths).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.ListArray.from_arrays(offsets, values)


def _with(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    columns = [column if field.name == name else batch[field.name] for field in batch.schema]
    return pa.record_batch(columns, names=batch.schema.names)
