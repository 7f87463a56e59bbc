"""The columns that every engine requires of an existing target table, and of rows for it."""

import json
from typing import TYPE_CHECKING, Any

from steps.governance.errors import Conflict, IntegrityError
from steps.prepare.delta.store import Place
from steps.prepare.schemas import PARTITION, TableSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from steps.prepare.delta.declarations import Declared

# Spark's metadata of a string column that was declared as char(n) or varchar(n).
TEXT_TYPE = "__CHAR_VARCHAR_TYPE_STRING"


def require_columns(place: Place, schema: TableSchema, declared: "Declared") -> None:
    """Require that the table has Prepare's columns, in any order, and its partition column.

    Every engine needs that.

    Raises:
        Conflict: it has others, or a column that pads what is written to it.
    """
    wanted = {each["name"]: each["type"] for each in json.loads(schema.delta_json)["fields"]}
    there = {each["name"]: each["type"] for each in declared.fields}
    different = [f"no column {name}" for name in wanted if name not in there]
    different += [
        f"column {name}, which Prepare does not write" for name in there if name not in wanted
    ]
    different += [
        f"{name} as {_type_name(there[name])}, not {kind}"
        for name, kind in wanted.items()
        if there.get(name, kind) != kind
    ]
    padded = [
        (each["name"], str((each.get("metadata") or {}).get(TEXT_TYPE, "")))
        for each in declared.fields
    ]
    different += [
        f"{name} as {kind}, which pads its values"
        for name, kind in padded
        if kind.startswith("char(")
    ]
    if declared.partition_columns != (PARTITION,):
        different.append(
            f"partitioned by {', '.join(declared.partition_columns) or 'nothing'}, not by "
            f"{PARTITION}"
        )
    if different:
        raise Conflict(
            f"table {place.name} has other columns than Prepare writes, nothing was written",
            expected=f"{schema.ddl}, partitioned by {PARTITION}",
            got="; ".join(different)[:600],
            do="choose another CuratedTable",
        )


def require_frame(frame: "DataFrame", place: Place, schema: TableSchema) -> None:
    """Require that rows for the table have its columns with its types, before they are written.

    An engine casts on append: Sail stores NULL for a value that does not fit, and so does Spark
    with `spark.sql.storeAssignmentPolicy` LEGACY.

    Raises:
        IntegrityError: a column is missing or has another type; no row was written.
    """
    there = dict(frame.dtypes)
    different = [
        f"{name} {there.get(name, 'missing')}"
        for name, kind in schema.columns
        if there.get(name) != kind
    ]
    if different:
        raise IntegrityError(
            f"rows for table {place.name} have other types than its columns, none was written",
            expected=schema.ddl,
            got=", ".join(different),
            do="an engine would cast them, and may store NULL; correct what makes the rows",
        )


def _type_name(kind: Any) -> str:
    return kind if isinstance(kind, str) else str(kind.get("type"))
