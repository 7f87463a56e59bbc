"""The identity of a filing: company and accession number, or company, form, date and text.

    checked.with_columns(accession=accession()).with_columns(filing_id=filing_id())

Two rows with one identity are the same filing, loaded twice. A file name does not identify a
filing: many filings share one.
"""

import hashlib

import polars as pl

# Also inside a file's name or path.
_ACCESSION = r"(?:^|[^0-9])([0-9]{10})-?([0-9]{2})-?([0-9]{6})(?:[^0-9]|$)"
_ACCESSION_NUMBER = r"^[0-9]{11,18}$"  # as a number it has lost its leading zeros


def accession() -> pl.Expr:
    """Return EDGAR's accession number from its column, or else from the file name."""
    return pl.coalesce(
        accession_of("accession_number"), accession_of("accession"), _hyphenated(pl.col("filename"))
    )


def accession_of(name: str) -> pl.Expr:
    """Return the accession number in this column, or null."""
    text = pl.col(name)
    return _hyphenated(
        pl.when(text.str.contains(_ACCESSION_NUMBER)).then(text.str.zfill(18)).otherwise(text)
    )


def _hyphenated(text: pl.Expr) -> pl.Expr:
    return pl.concat_str(
        (text.str.extract(_ACCESSION, group) for group in (1, 2, 3)), separator="-"
    )


def filing_id() -> pl.Expr:
    """Return the identity: `<cik>/<accession number>` or `<cik>/<sha256 of form, date, text>`."""
    content = pl.concat_str(
        "filing_type", "filing_date", "section", "exact_sha256", separator="\x1f"
    )
    digest = content.map_batches(sha256, return_dtype=pl.String)
    return pl.when(pl.col("reason").is_null()).then(
        pl.concat_str("cik", pl.coalesce("accession", digest), separator="/")
    )


def sha256(texts: pl.Series) -> pl.Series:
    """Return the digest of each text; null for null."""
    digests = [
        None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in texts
    ]
    return pl.Series(digests, dtype=pl.String)
