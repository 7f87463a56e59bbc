"""Raw filings, checked one by one: either usable, as a list of risk factors, or rejected with a reason.

    examine(batch)      # pa.RecordBatch of raw rows -> pa.RecordBatch with SCHEMA, row for row

A pure Arrow kernel: Spark calls it through `mapInArrow`, tests call it directly. The raw table has the fields of EDGAR-CRAWLER
(docs/architecture.md); annual reports keep their risk factors in `item_1a`, quarterly ones in `part_2_item_1a`. Columns may have
any type with a stated conversion (`steps.prepare.column_text`). A filing's identity (`filing_id`) is its company and accession
number, or else its company, form, date and text. A file name is not: many filings share one.
"""

import hashlib

import polars as pl
import pyarrow as pa

from steps.prepare import column_text, dates, sections
from steps.prepare.columns import OPTIONAL, REQUIRED
from steps.prepare.paragraphs import mended, paragraphs
from steps.prepare.risk_factors import risk_factors

INVALID = "invalid_record"
NOT_UTF8 = "not_utf8"
UNSUPPORTED_FORM = "unsupported_form"
NO_HEADINGS = "no_headings_found"
DUPLICATE_FILING = "duplicate_filing"
DUPLICATE_SECTION = "duplicate_section"

IGNORED_SEPARATOR = "; "

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("source_filing", "cik", "company", "sic", "filing_type", "filing_date")),
        ("year", pa.int32()),
        ("section", pa.string()),
        ("filing_id", pa.string()),  # null for a rejected filing
        ("section_sha256", pa.string()),  # whatever the case of its letters
        ("exact_sha256", pa.string()),
        ("risk_factors", pa.list_(pa.struct([("heading", pa.string()), ("body", pa.string())]))),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("ignored", pa.string()),  # optional fields that could not be used, and why
    ]
)
_CIK = r"^[0-9]{1,10}$"
_SIC = r"^[0-9]{1,4}$"
_ACCESSION = r"(?:^|[^0-9])([0-9]{10})-?([0-9]{2})-?([0-9]{6})(?:[^0-9]|$)"  # also inside a file's name or path
_ACCESSION_NUMBER = r"^[0-9]{11,18}$"  # as a number it has lost its leading zeros
_FIELDS = (
    "cik",
    "company",
    "filing_type",
    "filing_date",
    "filename",
    "period_of_report",
    "sic",
    "accession_number",
    "accession",
)
_LONGEST_FIELD = 300  # characters; what is longer is no name or date but a text in the wrong column
_ANNUAL, _QUARTERLY = r"^10-K", r"^10-Q"


def examine(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Check every raw row; rows come out in the order they came in."""
    columns, unreadable = _texts(batch)
    raw = pl.DataFrame({**columns, "unreadable": unreadable}, schema=dict.fromkeys([*columns, "unreadable"], pl.String))
    checked = _checked(raw).with_row_index("row")
    usable = checked.filter(pl.col("reason").is_null()).select("row", text=sections.untitled(pl.col("text")))
    whole = (
        checked.join(_split(usable), on="row", how="left", maintain_order="left")
        .with_columns(
            reason=pl.when(pl.col("reason").is_null() & pl.col("risk_factors").is_null())
            .then(pl.lit(NO_HEADINGS))
            .otherwise("reason")
        )
        .with_columns(filing_id=_filing_id())
    )
    return (
        whole.select(SCHEMA.names).to_arrow().cast(SCHEMA).combine_chunks().to_batches()[0] if len(whole) else _none()
    )


def _none() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=SCHEMA)


def _texts(batch: pa.RecordBatch) -> tuple[dict[str, pa.Array], pa.Array]:
    """The columns as valid UTF-8, and per row the names of those that were not (null: none)."""
    columns: dict[str, pa.Array] = {}
    unreadable: list[list[str]] = [[] for _ in range(batch.num_rows)]
    for name in (*REQUIRED, *OPTIONAL):
        position = batch.schema.get_field_index(name)
        array = (
            pa.nulls(batch.num_rows, pa.string()) if position < 0 else column_text.text(batch.column(position), name)
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
    """Canonical fields, the section's text, and the first reason against the row."""
    fields = raw.with_columns(
        mended(pl.col(name)).str.strip_chars().replace("", None) for name in _FIELDS
    ).with_columns(pl.col("filing_type").str.to_uppercase())
    for name in ("filing_date", "period_of_report"):
        fields = fields.with_columns(_days(name, fields[name]))
    quarterly = pl.col("filing_type").str.contains(_QUARTERLY)
    text = pl.when(quarterly).then("part_2_item_1a").otherwise("item_1a")
    fault = _fault()
    return fields.with_columns(text=text).select(
        _short("company"),
        _short("filing_type"),
        "text",
        filing_date=pl.coalesce("filing_date_day", _short("filing_date")),
        source_filing=_short("filename"),
        cik=_short("cik").str.zfill(10),
        sic=pl.when(pl.col("sic").str.contains(_SIC)).then(pl.col("sic").str.zfill(4)),
        accession=_accession(),
        year=pl.coalesce("period_of_report_day", "filing_date_day").str.slice(0, 4).cast(pl.Int32, strict=False),
        section=pl.when(quarterly).then(pl.lit("part_2_item_1a")).otherwise(pl.lit("item_1a")),
        reason=pl.coalesce(
            pl.when(pl.col("unreadable").is_not_null()).then(pl.lit(NOT_UTF8)),
            pl.when(fault.is_not_null()).then(pl.lit(INVALID)),
            pl.when(~(quarterly | pl.col("filing_type").str.contains(_ANNUAL))).then(pl.lit(UNSUPPORTED_FORM)),
            sections.reason(text),
        ),
        detail=pl.coalesce("unreadable", fault),
        ignored=_ignored(),
    )


def _days(name: str, texts: pl.Series) -> list[pl.Series]:
    found = [(None, None) if text is None else dates.day(text) for text in texts]
    faults = [None if fault is None else f"{name}: {fault}" for _, fault in found]
    return [
        pl.Series(f"{name}_day", [day for day, _ in found], pl.String),
        pl.Series(f"{name}_fault", faults, pl.String),
    ]


def _short(name: str) -> pl.Expr:
    return pl.col(name).str.slice(0, _LONGEST_FIELD)


def _fault() -> pl.Expr:
    """What is wrong with the row's own fields, or null."""
    named = ("cik", "company", "filing_type", "filing_date", "filename")
    absent = {f"{name}: missing": pl.col(name).is_null() for name in named}
    long = {
        f"{name}: at most {_LONGEST_FIELD} characters expected": pl.col(name).str.len_chars() > _LONGEST_FIELD
        for name in ("company", "filing_type", "filename")
    }
    digits = {"cik: 1 to 10 digits expected": ~pl.col("cik").str.contains(_CIK)}
    first = [pl.when(test).then(pl.lit(text)) for text, test in {**absent, **digits}.items()]
    return pl.coalesce(
        *first, pl.col("filing_date_fault"), *(pl.when(test).then(pl.lit(text)) for text, test in long.items())
    )


def _ignored() -> pl.Expr:
    """The optional fields that say something which cannot be used, one fault each; null where there is none."""
    faults = [
        pl.col("period_of_report_fault"),
        pl.when(~pl.col("sic").str.contains(_SIC)).then(pl.lit("sic: 1 to 4 digits expected")),
        *(
            pl.when(pl.col(name).is_not_null() & _of_column(name).is_null()).then(
                pl.lit(f"{name}: the form 0000320193-21-000105 expected")
            )
            for name in ("accession_number", "accession")
        ),
    ]
    return pl.concat_str(faults, separator=IGNORED_SEPARATOR, ignore_nulls=True).replace("", None)


def _accession() -> pl.Expr:
    """The accession number of the filing in EDGAR's form, from its own column or else from the file's name."""
    return pl.coalesce(_of_column("accession_number"), _of_column("accession"), _hyphenated(pl.col("filename")))


def _of_column(name: str) -> pl.Expr:
    text = pl.col(name)
    return _hyphenated(pl.when(text.str.contains(_ACCESSION_NUMBER)).then(text.str.zfill(18)).otherwise(text))


def _hyphenated(text: pl.Expr) -> pl.Expr:
    return pl.concat_str((text.str.extract(_ACCESSION, group) for group in (1, 2, 3)), separator="-")


def _filing_id() -> pl.Expr:
    """What makes two rows the same filing: `<cik>/<accession number>`, or `<cik>/<sha256 of form, date and text>`."""
    content = pl.concat_str("filing_type", "filing_date", "section", "exact_sha256", separator="\x1f")
    digest = content.map_batches(_sha256, return_dtype=pl.String)
    return pl.when(pl.col("reason").is_null()).then(
        pl.concat_str("cik", pl.coalesce("accession", digest), separator="/")
    )


def _sha256(texts: pl.Series) -> pl.Series:
    digests = [None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return pl.Series(digests, dtype=pl.String)


def _split(usable: pl.DataFrame) -> pl.DataFrame:
    """`row`, both digests, `risk_factors`; a row without a risk factor is missing from the result."""
    whole = paragraphs(usable)
    texts = whole.group_by("row", maintain_order=True).agg(text=pl.col("paragraph").str.join("\n"))
    digests = texts.select(
        "row", section_sha256=_sha256(texts["text"].str.to_lowercase()), exact_sha256=_sha256(texts["text"])
    )
    factors = risk_factors(whole).group_by("row", maintain_order=True).agg(risk_factors=pl.struct("heading", "body"))
    return digests.join(factors, on="row", how="inner")
