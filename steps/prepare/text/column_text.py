"""Convert a column of any type to text; numbers, dates and bytes are converted only here.

    text(array, "filing_date")      # pa.Array with a stated conversion -> pa.Array of strings

It runs where rows are read file by file or by delta-rs's scan, and in the kernel that gets Spark's
own typed columns. So every engine and every way of reading gives the same text. docs/data.md lists
the conversions ("Columns and their types").
"""

import pyarrow as pa
import pyarrow.compute as pc

from steps.governance.errors import GovernanceError

_EXACT_INTEGERS = {pa.float16(): 2.0**11, pa.float32(): 2.0**24, pa.float64(): 2.0**53}


def text(array: pa.Array, name: str) -> pa.Array:
    """Return the values as plain Arrow strings.

    Bytes that are not UTF-8 pass unchanged: the filing kernel rejects their rows.

    Raises:
        GovernanceError: the type has no stated conversion.
    """
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_dictionary(kind):
        return text(array.dictionary_decode(), name)
    if pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_date(kind):
        return (
            array.cast(pa.string())
            if not pa.types.is_date64(kind)
            else array.cast(pa.date32()).cast(pa.string())
        )
    if pa.types.is_timestamp(kind):
        return _day(array)
    if pa.types.is_decimal(kind):
        return pc.replace_substring_regex(array.cast(pa.string()), pattern=r"\.0+$", replacement="")
    if pa.types.is_floating(kind):
        return _whole(array)
    if _is_bytes(kind):
        return array.cast(pa.binary()).view(pa.string())
    raise GovernanceError(
        f"column {name} cannot be read as text",
        expected="a type that docs/data.md lists (Columns and their types)",
        got=str(kind),
        do="convert the column, or choose another raw table",
    )


def _is_bytes(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
        pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _day(array: pa.Array) -> pa.Array:
    """Return the day of an instant in UTC; a time without a zone keeps its day.

    Delta keeps no zone, and Parquet files of one column may have UTC or no zone; both hold
    UTC. So the day does not depend on a session's time zone.
    """
    return array.cast(pa.timestamp(array.type.unit)).cast(pa.date32()).cast(pa.string())


def _whole(array: pa.Array) -> pa.Array:
    """Return whole numbers as digits, up to the largest integer that the type holds exactly.

    NaN, pandas' mark of a missing value, is null.
    """
    values = array.cast(pa.float64())
    known = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    whole = pc.and_(
        pc.equal(pc.floor(known), known), pc.less(pc.abs(known), _EXACT_INTEGERS[array.type])
    )
    digits = pc.if_else(whole, known, 0.0).cast(pa.int64()).cast(pa.string())
    other = pc.replace_substring_regex(
        known.cast(pa.string()), pattern=r"^(-?[0-9]+)$", replacement=r"\1.0"
    )
    return pc.if_else(whole, digits, other)
