"""Check raw filings one by one: usable, as a list of risk factors, or rejected with a reason.

    examine(batch)      # pa.RecordBatch of raw rows -> pa.RecordBatch with SCHEMA, row for row

A pure Arrow kernel: Spark calls it through `mapInArrow`, tests call it directly. The raw table has
the fields of EDGAR-CRAWLER (docs/architecture.md); annual reports keep their risk factors in
`item_1a`, quarterly ones in `part_2_item_1a`. Columns may have any type with a stated conversion
(`steps.prepare.text.column_text`).
"""

from collections.abc import Iterable

import polars as pl
import pyarrow as pa

from steps.prepare.filings.columns import OPTIONAL, REQUIRED
from steps.prepare.filings.field_faults import IGNORED_SEPARATOR, SIC, fault, ignored, short
from steps.prepare.filings.identity import accession, filing_id, sha256
from steps.prepare.styled import decided
from steps.prepare.text import column_text, dates, run_on, sections
from steps.prepare.text.characters import cleaned
from steps.prepare.text.paragraphs import paragraphs
from steps.prepare.text.risk_factors import grouped
from steps.prepare.text.wrapped import unwrapped

INVALID = "invalid_record"
NOT_UTF8 = "not_utf8"
UNSUPPORTED_FORM = "unsupported_form"
NO_HEADINGS = "no_headings_found"
DUPLICATE_FILING = "duplicate_filing"
DUPLICATE_SECTION = "duplicate_section"

FACTOR = ("heading", "body", "group")  # `group`: the title of the group that it is in, or null
SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("source_filing", "cik", "company", "sic", "filing_type", "filing_date")
        ),
        ("year", pa.int32()),
        ("section", pa.string()),
        ("filing_id", pa.string()),  # null for a rejected filing
        ("section_sha256", pa.string()),  # the same for upper and lower case
        ("exact_sha256", pa.string()),
        ("raw_sha256", pa.string()),  # of the section's text as it was read; null: none
        # The later items that the section ran on into, in words; null: none.
        ("left_out", pa.string()),
        ("risk_factors", pa.list_(pa.struct([(name, pa.string()) for name in FACTOR]))),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("ignored", pa.string()),  # optional fields that could not be used, and why
    ]
)
_FIELDS = (
    *("cik", "company", "filing_type", "filing_date", "filename", "period_of_report", "sic"),
    *("accession_number", "accession"),
)
_ANNUAL, _QUARTERLY = r"^10-K", r"^10-Q"


def examine(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Check every raw row; the order of the rows stays the same."""
    columns, unreadable = _texts(batch)
    raw = pl.DataFrame(
        {**columns, "unreadable": unreadable},
        schema=dict.fromkeys([*columns, "unreadable"], pl.String),
    )
    checked = _checked(raw).with_row_index("row")
    usable = checked.filter(pl.col("reason").is_null()).select(
        "row", decided.COLUMN, text=sections.untitled(pl.col("text"))
    )
    whole = (
        checked.join(_split(usable), on="row", how="left", maintain_order="left")
        .with_columns(
            reason=pl.when(pl.col("reason").is_null() & pl.col("risk_factors").is_null())
            .then(pl.lit(NO_HEADINGS))
            .otherwise("reason"),
            ignored=pl.concat_str(
                "ignored", "html_fault", separator=IGNORED_SEPARATOR, ignore_nulls=True
            ).replace("", None),
        )
        .with_columns(filing_id=filing_id())
    )
    return (
        whole.select(SCHEMA.names).to_arrow().cast(SCHEMA).combine_chunks().to_batches()[0]
        if len(whole)
        else _none()
    )


def _none() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=SCHEMA)


def _texts(batch: pa.RecordBatch) -> tuple[dict[str, pa.Array], pa.Array]:
    """Return the columns as valid UTF-8, and per row the invalid columns (null: none)."""
    columns: dict[str, pa.Array] = {}
    unreadable: list[list[str]] = [[] for _ in range(batch.num_rows)]
    for name in (*REQUIRED, *OPTIONAL):
        position = batch.schema.get_field_index(name)
        array = (
            pa.nulls(batch.num_rows, pa.string())
            if position < 0
            else column_text.text(batch.column(position), name)
        )
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            array = _decoded(array, name, unreadable)
        columns[name] = array
    return columns, pa.array([", ".join(names) or None for names in unreadable], pa.string())


def _decoded(array: pa.Array, name: str, unreadable: list[list[str]]) -> pa.Array:
    texts: list[str | None] = []
    for row, value in enumerate(array.cast(pa.binary())):
        content = value.as_py()
        try:
            texts.append(None if content is None else content.decode())
        except UnicodeDecodeError:
            texts.append(content.decode(errors="replace"))
            unreadable[row].append(name)
    return pa.array(texts, pa.string())


def _checked(raw: pl.DataFrame) -> pl.DataFrame:
    """Return canonical fields, the section's text, and the first reason against the row."""
    fields = raw.with_columns(_fields(raw)).with_columns(pl.col("filing_type").str.to_uppercase())
    fields = fields.with_columns(_days(fields["filing_date"]) + _years(fields["period_of_report"]))
    quarterly = pl.col("filing_type").str.contains(_QUARTERLY)
    text = pl.when(quarterly).then("part_2_item_1a").otherwise("item_1a")
    found = fault()
    section = fields.select(text).to_series()
    return fields.with_columns(_section(section)).select(
        short("company"),
        short("filing_type"),
        "text",
        "left_out",
        decided.COLUMN,
        filing_date=pl.coalesce("filing_date_day", short("filing_date")),
        source_filing=short("filename"),
        raw_sha256=sha256(section),
        cik=short("cik").str.zfill(10),
        sic=pl.when(pl.col("sic").str.contains(SIC)).then(pl.col("sic").str.zfill(4)),
        accession=accession(),
        year=pl.coalesce(
            "period_of_report_year", pl.col("filing_date_day").str.slice(0, 4).cast(pl.Int32)
        ),
        section=pl.when(quarterly).then(pl.lit("part_2_item_1a")).otherwise(pl.lit("item_1a")),
        reason=pl.coalesce(
            pl.when(pl.col("unreadable").is_not_null()).then(pl.lit(NOT_UTF8)),
            pl.when(found.is_not_null()).then(pl.lit(INVALID)),
            pl.when(~(quarterly | pl.col("filing_type").str.contains(_ANNUAL))).then(
                pl.lit(UNSUPPORTED_FORM)
            ),
            sections.reason(pl.col("text")),
        ),
        detail=pl.coalesce("unreadable", found, _and_left_out()),
        ignored=ignored(),
    )


def _fields(raw: pl.DataFrame) -> list[pl.Series]:
    """Clean the short columns together, each on one line, so that a pattern is compiled once."""
    whole = pl.concat([raw[name].alias("text") for name in _FIELDS]).to_frame()
    line = (
        cleaned(pl.col("text"))
        .str.replace_all(r"\s*\n\s*", " ")
        .str.strip_chars()
        .replace("", None)
    )
    texts = whole.select(line).to_series()
    return [
        texts.slice(number * len(raw), len(raw)).alias(name) for number, name in enumerate(_FIELDS)
    ]


def _section(texts: pl.Series) -> pl.DataFrame:
    """`text`: cleaned, one paragraph a line, without the items that follow.

    `left_out`: those, in words.
    """
    return run_on.ended(
        texts.to_frame("text").select(unwrapped(cleaned(pl.col("text")))).to_series()
    )


def _and_left_out() -> pl.Expr:
    return pl.lit("without ") + pl.col("left_out")


def _days(texts: pl.Series) -> list[pl.Series]:
    found = [(None, None) if text is None else dates.day(text) for text in texts]
    return [
        pl.Series("filing_date_day", [day for day, _ in found], pl.String),
        _faults(texts.name, found),
    ]


def _years(texts: pl.Series) -> list[pl.Series]:
    """Of the period only the year is used."""
    found = [(None, None) if text is None else dates.year(text) for text in texts]
    return [
        pl.Series("period_of_report_year", [year for year, _ in found], pl.Int32),
        _faults(texts.name, found),
    ]


def _faults(name: str, found: Iterable[tuple[object, str | None]]) -> pl.Series:
    faults = [None if fault is None else f"{name}: {fault}" for _, fault in found]
    return pl.Series(f"{name}_fault", faults, pl.String)


def _split(usable: pl.DataFrame) -> pl.DataFrame:
    """`row`, both digests, `risk_factors`, `html_fault`.

    A row without a risk factor is missing from the result.
    """
    whole = paragraphs(usable)
    texts = whole.group_by("row", maintain_order=True).agg(text=pl.col("paragraph").str.join("\n"))
    digests = texts.select(
        "row",
        section_sha256=sha256(texts["text"].str.to_lowercase()),
        exact_sha256=sha256(texts["text"]),
    )
    html = usable.filter(pl.col(decided.COLUMN).is_not_null())
    rows, faults = decided.kinds(whole, dict(html.select("row", decided.COLUMN).iter_rows()))
    factors = (
        grouped(rows).group_by("row", maintain_order=True).agg(risk_factors=pl.struct(*FACTOR))
    )
    faulty = pl.DataFrame(
        {"row": list(faults), "html_fault": list(faults.values())},
        schema={"row": pl.UInt32, "html_fault": pl.String},
    )
    return digests.join(factors, on="row", how="inner").join(faulty, on="row", how="left")
