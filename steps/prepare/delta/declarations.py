"""The declarations of a table's owner, and which of them an append can honour.

    rules = checked(place, EXAMPLES, of(table))   # refuses by name what delta-rs cannot honour
    rules                                         # what every row must hold (row_rules.py)

docs/data.md lists them in a table.

Columns are compared by name and type. A comment, a default and any other metadata that Delta does
not act upon changes no data.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deltalake import DeltaTable

from steps.governance.errors import Conflict
from steps.prepare.delta.features import (
    DELTA_RS_APPENDS,
    LEGACY_IDENTITY_WRITER,
    NEWEST_READER,
    NEWEST_WRITER,
    SPARK_APPENDS,
)
from steps.prepare.delta.store import Place, Rule
from steps.prepare.delta.target_columns import TEXT_TYPE, require_columns
from steps.prepare.schemas import PARTITION, TableSchema

# Names of properties in lower case; Delta matches them in any case.
_CONSTRAINT = "delta.constraints."
_MAPPING_MODE = "delta.columnmapping.mode"
_RANDOM_PREFIXES = "delta.randomizefileprefixes"
# Metadata of a column that Delta or Spark may act upon, by its first words: those handled here. Any
# other of theirs is refused.
_KNOWN = (
    "delta.typeChanges", "delta.invariants", "delta.generationExpression", "delta.identity.",
    "delta.columnMapping.", TEXT_TYPE,
)  # fmt: skip
_ACTED_UPON = ("delta.", "__")

Field = Mapping[str, Any]  # as the Delta log writes it: name, type, nullable, metadata


@dataclass(frozen=True)
class Declared:
    """A table's columns, partition columns, properties, writer features and protocol versions."""

    fields: tuple[Field, ...]
    partition_columns: tuple[str, ...]
    properties: Mapping[str, str] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    reader_version: int = 1
    writer_version: int = 2


def of(table: DeltaTable) -> Declared:
    """Return a table's declarations as delta-rs reads them."""
    metadata, protocol = table.metadata(), table.protocol()
    features = set(protocol.writer_features or ()) | set(protocol.reader_features or ())
    if protocol.min_writer_version == LEGACY_IDENTITY_WRITER:
        features.add("identityColumns")
    return Declared(
        tuple(json.loads(table.schema().to_json())["fields"]),
        tuple(metadata.partition_columns),
        dict(metadata.configuration),
        frozenset(features),
        protocol.min_reader_version,
        protocol.min_writer_version,
    )


def checked(place: Place, schema: TableSchema, declared: Declared) -> tuple[Rule, ...]:
    """Return the rules for rows of a table that delta-rs may append to.

    Raises:
        Conflict: something else is declared that an append would not honour.
    """
    require_columns(place, schema, declared)
    versions = _unknown_versions(declared)
    found = [*_by_columns(declared.fields), *_mapping(declared.properties), *versions]
    features = sorted(declared.features - DELTA_RS_APPENDS)
    if found or features:
        spark_can = (
            set(features) <= SPARK_APPENDS
            and not versions
            and not _other_paths(declared.properties)
        )
        raise Conflict(
            f"table {place.name} declares what the delta engine delta-rs cannot honour, "
            "nothing was written",
            expected="a table that any writer may append plain rows to",
            got=", ".join([*found, *(f"writer feature {name}" for name in features)]),
            do="choose another CuratedTable"
            + (
                ", or the delta engine unity-connector, whose jars you add to the image "
                "(docs/data.md)"
                if spark_can
                else ""
            ),
        )
    return rules(declared)


def declared(place: Place, schema: TableSchema, table: DeltaTable | None) -> tuple[Rule, ...]:
    """Return the same of a table that may not exist yet, and then has no rules."""
    return () if table is None else checked(place, schema, of(table))


def checked_for_spark(place: Place, schema: TableSchema, declared: Declared) -> tuple[Rule, ...]:
    """Return the rules for rows of a table that Spark's Delta may append to.

    Spark's Delta itself refuses the tables that it cannot write.

    Raises:
        Conflict: the table has other columns, or Spark would write its files where Train does not
            look for them.
    """
    require_columns(place, schema, declared)
    if found := _other_paths(declared.properties):
        raise Conflict(
            f"table {place.name} declares what the delta engine unity-connector cannot "
            "honour, nothing was written",
            expected=f"a table with its data files in folders {PARTITION}=…",
            got=", ".join(found),
            do="choose another CuratedTable",
        )
    return rules(declared)


def rules(declared: Declared) -> tuple[Rule, ...]:
    """Return the rules that every row must satisfy.

    NULL breaks a CHECK constraint, as in Delta and unlike the SQL standard.
    """
    found: list[Rule] = []
    for column in declared.fields:
        # The name is one of Prepare's columns, which need no quotes.
        name, metadata = column["name"], column.get("metadata") or {}
        if not column.get("nullable", True):
            found.append(Rule(f"NOT NULL of column {name}", f"{name} IS NOT NULL"))
        if "delta.invariants" in metadata:
            found.append(
                Rule(f"invariant of column {name}", _invariant(metadata["delta.invariants"]))
            )
        if length := re.fullmatch(r"varchar\((\d+)\)", str(metadata.get(TEXT_TYPE, ""))):
            longest = f"{name} IS NULL OR length({name}) <= {length[1]}"
            found.append(Rule(f"type varchar({length[1]}) of column {name}", longest))
    for key, expression in sorted(declared.properties.items()):
        if key.lower().startswith(_CONSTRAINT):
            found.append(Rule(f"CHECK constraint {key[len(_CONSTRAINT) :]}", expression))
    return tuple(found)


def require_rules(place: Place, there: Sequence[Rule], checked_against: Sequence[Rule]) -> None:
    """Require that the table's rules are still those that the rows were checked against.

    Raises:
        Conflict: they are not.
    """
    if tuple(there) != tuple(checked_against):
        raise Conflict(
            f"the rules of table {place.name} changed while rows were prepared for it, "
            "nothing was committed",
            expected=_listed(checked_against),
            got=_listed(there),
            do="start the job again",
        )


def _by_columns(fields: Sequence[Field]) -> list[str]:
    """Return declarations of single columns that a writer of plain values cannot honour."""
    found = []
    for column in fields:
        name, metadata = column["name"], column.get("metadata") or {}
        kinds = {
            f"generated column {name}": "delta.generationExpression" in metadata,
            f"identity column {name}": any(key.startswith("delta.identity.") for key in metadata),
        }
        found += [kind for kind, declared in kinds.items() if declared]
        unknown = [
            key for key in metadata if key.startswith(_ACTED_UPON) and not key.startswith(_KNOWN)
        ]
        found += [f"{key} of column {name}" for key in unknown]
    return found


def _unknown_versions(declared: Declared) -> list[str]:
    """Return the protocol versions that are not specified yet."""
    newest = {
        "reader": (declared.reader_version, NEWEST_READER),
        "writer": (declared.writer_version, NEWEST_WRITER),
    }
    return [f"{kind} version {there}" for kind, (there, known) in newest.items() if there > known]


def _mapping(properties: Mapping[str, str]) -> list[str]:
    return [
        f"column mapping by {mode}" for mode in _values(properties, _MAPPING_MODE) if mode != "none"
    ]


def _other_paths(properties: Mapping[str, str]) -> list[str]:
    """Return the properties with which Spark writes files outside the folder `execution_id=…`."""
    random = "true" in _values(properties, _RANDOM_PREFIXES)
    return [*_mapping(properties), *(["delta.randomizeFilePrefixes"] if random else [])]


def _values(properties: Mapping[str, str], name: str) -> list[str]:
    """Return the values of a property in lower case.

    A property has several values if its name occurs in several spellings.
    """
    return sorted({value.lower() for key, value in properties.items() if key.lower() == name})


def _invariant(text: str) -> str:
    """Return the expression of `{"expression": {"expression": "x > 3"}}`.

    The form is that of delta-io/delta PROTOCOL.md, "Column Invariants".

    Any other text is taken for an expression, which Spark then refuses by name.
    """
    try:
        return str(json.loads(text)["expression"]["expression"])
    except (ValueError, KeyError, TypeError):
        return text


def _listed(found: Sequence[Rule]) -> str:
    return ", ".join(f"{rule.name}: {rule.expression}" for rule in found) or "none"
