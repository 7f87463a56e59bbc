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
from steps.prepare.filings.measures import BODY, HEADING, MEASURES, SCRUBBED, STYLES, WITHOUT_SIC
from steps.prepare.filings.quality import personal_data, thresholds
from steps.prepare.text.heading_sequence import RUN_IN

_SCRUBBED_TEXTS = ("heading", "body", "group")
_NUMBERED = r"^(?:\(?[0-9]{1,3}[.)]|\(?[a-zA-Z][.)]|[IVX]{1,4}\.)\s"
_ENDS = r"[.!?:][\"'”’)]*$"
_LONGEST_TOPIC = 60  # characters; a title with a full stop ("Data Security.") is shorter
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
    factors, parents = lists.flatten(), pc.list_parent_indices(lists)
    whole = pl.DataFrame(
        {
            "company": filings["company"].take(parents),
            **{name: factors.field(name) for name in examination.FACTOR},
        }
    )
    # Distinct ones only: a company's filing of the next year has most of them again
    names = whole.columns
    same = whole.with_row_index("at").group_by(names).agg("at").with_row_index("place")
    places = same.select("place", "at").explode("at").sort("at")["place"]
    screened, found = _screened(same.select(names), screen)
    screened, found = screened[places], found[places]
    without_sic = pl.Series(WITHOUT_SIC, filings["sic"].is_null().take(parents)).cast(pl.Int32)
    made = pa.StructArray.from_arrays(
        [screened[name].to_arrow().cast(pa.string()) for name in examination.FACTOR],
        names=list(examination.FACTOR),
    )
    found = found.with_columns(without_sic).select(*MEASURES, *_FAULT)
    return _with(filings, "risk_factors", _relisted(lists, made)), found


def _screened(factors: pl.DataFrame, screen: Screen) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the scrubbed risk factors, and what was found in each but for its filing's code."""
    count = len(factors)
    parts = [factors[name].alias("text") for name in _SCRUBBED_TEXTS]
    texts, scrubs = _scrubbed(pl.concat(parts, rechunk=True), screen)
    scrubbed = factors.with_columns(
        texts.slice(part * count, count).alias(name) for part, name in enumerate(_SCRUBBED_TEXTS)
    )
    found = pl.DataFrame(
        {
            HEADING: scrubbed["heading"].str.len_chars(),
            BODY: scrubbed["body"].str.len_chars(),
            **_styles(scrubbed["heading"], scrubbed["style"]),
            **{
                name: counts.head(count) + counts.slice(count, count)
                for name, counts in scrubs.items()
            },
        }
    ).cast(pl.Int32)
    judged = scrubbed.select("company", "heading", "body")
    return scrubbed, found.hstack(thresholds.faults(thresholds.measured(judged), screen.quality))


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


def _styles(headings: pl.Series, kinds: pl.Series) -> dict[str, pl.Series]:
    """Return for each style 1 where a heading has it, else 0; each heading has one style."""
    heading = pl.col("heading")
    chosen = (
        pl.when(pl.col("kind") == RUN_IN).then(pl.lit("run_in"))
        .when(heading.str.contains(_NUMBERED)).then(pl.lit("numbered"))
        .when(~heading.str.contains(_ENDS)).then(pl.lit("bare"))
        .when(heading.str.len_chars() <= _LONGEST_TOPIC).then(pl.lit("topic"))
        .otherwise(pl.lit("standing"))
    )  # fmt: skip
    style = pl.DataFrame({"heading": headings, "kind": kinds}).select(chosen).to_series()
    return {column: (style == name).cast(pl.Int32) for name, column in STYLES.items()}


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
