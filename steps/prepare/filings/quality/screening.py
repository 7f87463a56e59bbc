"""Screen the risk factors of usable filings: scrub personal data, judge quality, measure.

    filings, found = screened(filings, Screen())      # found: one row for each risk factor
    examples = marked(examples.write(filings), found)

The text that leaves is the scrubbed one, in the table of rejected rows and in messages too.
"""

from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from steps.prepare.bounds import KINDS, Quality
from steps.prepare.filings import examination, examples
from steps.prepare.filings.measures import BODY, HEADING, MEASURES, SCRUBBED, WITHOUT_SIC
from steps.prepare.filings.quality import personal_data, thresholds

_FAULT = ("reason", "detail")
_FIELDS = [pa.field(name, pa.int32()) for name in MEASURES]


@dataclass(frozen=True)
class Screen:
    """What is looked for. `scrub` names kinds of personal data, in any order."""

    scrub: tuple[str, ...] = KINDS
    quality: Quality = field(default_factory=Quality)


def screened(filings: pa.RecordBatch, screen: Screen) -> tuple[pa.RecordBatch, pl.DataFrame]:
    """Return the filings with scrubbed risk factors, and what was found in each one, in order."""
    lists = filings["risk_factors"]
    factors = lists.flatten()
    count = len(factors)
    parts = [pl.Series(factors.field(name)) for name in examination.FACTOR]
    texts, scrubs = _scrubbed(pl.concat(parts, rechunk=True), screen)
    headings, bodies, groups = (texts.slice(part * count, count) for part in range(3))
    parents = pc.list_parent_indices(lists)
    found = pl.DataFrame(
        {
            HEADING: headings.str.len_chars(),
            BODY: bodies.str.len_chars(),
            WITHOUT_SIC: pl.Series(filings["sic"].is_null().take(parents)),
            **{
                name: counts.head(count) + counts.slice(count, count)
                for name, counts in scrubs.items()
            },
        }
    )
    judged = pl.DataFrame(
        {
            "company": pl.Series(filings["company"].take(parents)),
            "heading": headings,
            "body": bodies,
        }
    )
    judged = thresholds.faults(thresholds.measured(judged), screen.quality)
    found = found.select(pl.col(name).cast(pl.Int32) for name in MEASURES).hstack(judged)
    made = pa.StructArray.from_arrays(
        [part.to_arrow().cast(pa.string()) for part in (headings, bodies, groups)],
        names=list(examination.FACTOR),
    )
    return _with(filings, "risk_factors", _relisted(lists, made)), found


def marked(written: pa.RecordBatch, found: pl.DataFrame) -> pa.RecordBatch:
    """Return the examples with what was found in them; the row of later items has no measures.

    An example that was rejected already keeps its reason, except for a prompt injection.
    """
    of_factors = pc.fill_null(
        pc.not_equal(written["reason"], examples.LATER_ITEMS), fill_value=True
    )
    rows = pc.if_else(
        of_factors,
        pc.subtract(pc.cumulative_sum(of_factors.cast(pa.int32())), 1),
        pa.scalar(None, pa.int32()),
    )
    reason, detail = (found[name].to_arrow().cast(pa.string()).take(rows) for name in _FAULT)
    faulty = pc.and_(
        pc.is_valid(reason),
        pc.or_(pc.is_null(written["reason"]), pc.equal(reason, thresholds.INJECTION)),
    )
    faulty = pc.fill_null(faulty, fill_value=False)
    columns = {name: written[name] for name in written.schema.names} | {
        "reason": pc.if_else(faulty, reason, written["reason"]),
        "detail": pc.if_else(faulty, detail, written["detail"]),
        **{name: found[name].to_arrow().take(rows) for name in MEASURES},
    }
    return pa.record_batch(list(columns.values()), schema=pa.schema([*written.schema, *_FIELDS]))


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
