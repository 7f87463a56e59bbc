"""Existing target tables as hand-written Delta logs: any protocol, property and metadata."""

import json
from pathlib import Path
from typing import Any

from steps.prepare.schemas import TableSchema

PLAIN = {"minReaderVersion": 1, "minWriterVersion": 2}


def with_features(*features: str, reader: bool = False) -> dict[str, Any]:
    """Return a protocol with these writer features, and the same reader features if `reader`."""
    versions = {
        "minReaderVersion": 3 if reader else 1,
        "minWriterVersion": 7,
        "writerFeatures": list(features),
    }
    return versions | ({"readerFeatures": list(features)} if reader else {})


def table(
    location: Path,
    schema: TableSchema,
    *,
    protocol: dict[str, Any] | None = None,
    properties: dict[str, str] | None = None,
    columns: dict[str, dict[str, Any]] | None = None,
) -> Path:
    """Write an empty table.

    `columns` changes a column's field in the log: its metadata, type or nullability.
    """
    log = location / "_delta_log"
    log.mkdir(parents=True)
    fields = [
        field | (columns or {}).get(field["name"], {})
        for field in json.loads(schema.delta_json)["fields"]
    ]
    metadata = {
        "id": "1",
        "format": {"provider": "parquet", "options": {}},
        "partitionColumns": ["execution_id"],
        "createdTime": 1,
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "configuration": properties or {},
    }
    information = {
        "timestamp": 1,
        "inCommitTimestamp": 1,
        "operation": "CREATE TABLE",
        "operationParameters": {},
    }
    actions = [{"commitInfo": information}, {"protocol": protocol or PLAIN}, {"metaData": metadata}]
    (log / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)) + "\n")
    return location
