"""The locations of tables: looked up by name or planned, each with its own credential.

    raw = source(catalog, UcName.parse("edgar.raw.filings"))
    name = UcName.parse("edgar.curated.risk_factor_examples")
    curated = target(catalog, name, root="s3://governed/curated")
    registered(catalog, curated, EXAMPLES)

A new table's files are written before the table is registered, with a credential for its path. A
crash in between leaves files that no reader sees; the next run finds and registers them. A
registered name never lacks its table.
"""

import json

from databricks.sdk.service.catalog import ColumnInfo, ColumnTypeName

from steps.governance.errors import GovernanceError
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Catalog, Table
from steps.prepare.delta.store import Place
from steps.prepare.schemas import PARTITION, TableSchema

_TYPES = {"string": ColumnTypeName.STRING, "int": ColumnTypeName.INT}
_JSON_TYPES = {"string": "string", "int": "integer"}


def source(catalog: Catalog, name: UcName) -> Place:
    """Return the table to read, with a credential that can only read it."""
    table = catalog.table(name)
    return Place(name, table.location, catalog.read_access(table), table)


def target(catalog: Catalog, name: UcName, *, root: str) -> Place:
    """Return the existing target, or the place of a new one: `<root>/<catalog>/<schema>/<table>`.

    Raises:
        NotFound: there is neither the table nor its schema.
    """
    table = catalog.find_table(name)
    if table is not None:
        return Place(name, table.location, catalog.write_access(table), table)
    # Without this check a mistyped schema would be noticed only after the rows were written.
    catalog.require_schema(name)
    location = f"{root}/{name.catalog}/{name.schema}/{name.name}"
    try:
        return Place(name, location, catalog.create_access(location), None)
    except GovernanceError:
        # Another execution may have registered the table in the meantime. Then Unity Catalog vends
        # no credential for its path.
        table = catalog.find_table(name)
        if table is None:
            raise
        return Place(name, table.location, catalog.write_access(table), table)


def registered(catalog: Catalog, place: Place, schema: TableSchema) -> Table:
    """Return the registered table; register it first if it is new.

    Two executions that register it at once get the same table.
    """
    if place.table is not None:
        return place.table
    return catalog.create_external_table(
        place.name,
        place.location,
        columns=_columns(schema),
        properties={"written_by": "governed-finetune prepare"},
    )


def _columns(schema: TableSchema) -> list[ColumnInfo]:
    return [
        ColumnInfo(
            name=name,
            type_name=_TYPES[kind],
            type_text=kind,
            type_json=json.dumps(
                {"name": name, "type": _JSON_TYPES[kind], "nullable": True, "metadata": {}}
            ),
            position=position,
            nullable=True,
            partition_index=0 if name == PARTITION else None,
        )
        for position, (name, kind) in enumerate(schema.columns)
    ]
