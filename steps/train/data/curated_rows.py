"""Read the rows of one data file of the curated table in batches, and check each batch.

    for batch in batches(file, "execution_id=…/part-….parquet"):
        ...                               # pa.RecordBatch with the fields of `Example`

Parquet guarantees neither that a column exists, nor that it holds text, nor that text is UTF-8.
pyarrow reads such a file without an error, and the fault would only appear where the text is used.
"""

from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from steps.governance.errors import IntegrityError

_BATCH_ROWS = 512
# Read-ahead for each column. Without it, pyarrow reads a whole column chunk at once
_BUFFER_BYTES = 1024 * 1024


class Example(NamedTuple):
    """The columns of the curated table that training needs, of one row.

    `family_id` is None in a table of an earlier build, which does not have this column.
    """

    example_id: str
    split: str
    year: int | None
    sic: str | None
    system: str
    prompt: str
    completion: str
    family_id: str | None = None


_NULLABLE = ("year", "sic", "family_id")
_OPTIONAL = ("family_id",)


def batches(file: IO[bytes], name: str) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows in order.

    Args:
        file: the content of a Parquet file.
        name: the file's name for error messages.

    Raises:
        IntegrityError: the file is not Parquet, lacks a column, has a column of another type, or
            has text that is not UTF-8 or an empty value.
    """
    try:
        reader = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
        _check_columns(reader.schema_arrow, name)
        fields = [field for field in Example._fields if _is_there(reader.schema_arrow, field)]
        rows = reader.iter_batches(_BATCH_ROWS, columns=fields)
        while (batch := next(rows, None)) is not None:
            yield _checked(batch.select(fields), name)
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(
            f"file {name} cannot be read",
            expected="Parquet, as Prepare writes it",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            do="start a new execution",
        ) from error


def examples(batch: pa.RecordBatch) -> list[Example]:
    """Return the rows of a batch."""
    return [
        Example(*values)
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]


def _check_columns(schema: pa.Schema, name: str) -> None:
    wanted = [field for field in Example._fields if _is_there(schema, field)]
    lacking = [field for field in wanted if len(schema.get_all_field_indices(field)) != 1]
    if lacking:
        raise _refused(f"file {name} lacks columns", got=f"none or several of {', '.join(lacking)}")
    other = [
        f"{field} as {schema.field(field).type}"
        for field in wanted
        if not _expected_type(field)(schema.field(field).type)
    ]
    if other:
        raise _refused(f"file {name} has columns of another type", got=", ".join(other))


def _is_there(schema: pa.Schema, field: str) -> bool:
    """Return whether the field must be read: an optional one may be absent."""
    return field not in _OPTIONAL or bool(schema.get_all_field_indices(field))


def _refused(what: str, got: str) -> IntegrityError:
    texts = [field for field in Example._fields if field not in ("year", *_OPTIONAL)]
    return IntegrityError(
        what,
        expected=f"text columns {', '.join(texts)}, year a whole number",
        got=got,
        do="find out what wrote the curated table; only Prepare of this version may",
    )


def _expected_type(field: str) -> Callable[[pa.DataType], bool]:
    return pa.types.is_integer if field == "year" else _is_text


def _is_text(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def _checked(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    for field, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise _not_utf8(f"{field} of file {name}", str(error)) from error
    empty = [
        field
        for field in batch.schema.names
        if field not in _NULLABLE and batch.column(field).null_count
    ]
    if empty:
        raise IntegrityError(
            f"columns of file {name} have empty values",
            expected="none",
            got=", ".join(empty),
            do="find out what changed, then start a new execution",
        )
    return batch


def _not_utf8(where: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"text that is not UTF-8 in column {where}",
        expected="UTF-8; Prepare puts all other text into its rejected table",
        got=found[:200],
        do="find out what wrote the curated table, then start a new execution",
    )
