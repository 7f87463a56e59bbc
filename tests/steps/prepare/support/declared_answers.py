"""An engine's answer to a table of `declared_tables`: the committed or read rows, or its refusal.

This module does not import pytest, because `declared_on_spark.py` runs in another Python
environment.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from steps.governance.errors import GovernanceError
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.prepare.delta.store import Content, DeltaStore, Place, Provenance
from steps.prepare.schemas import REJECTED

SCHEMA = "spark_catalog.declared"
EXECUTIONS = {"delta-rs": "aaaaaaaaaaaa", "unity-connector": "bbbbbbbbbbbb", "sail": "cccccccccccc"}


def place(name: str, location: Path) -> Place:
    """Return the place of a table in a folder."""
    now = utc_now()
    access = Access(
        str(location), lambda: Credential("key", "secret", "token", now, now + timedelta(hours=1))
    )
    table = Table(UcName.parse(name), f"id-of-{name}", str(location))
    return Place(table.name, str(location), access, table)


def appended(store: DeltaStore, spark: Any, target: Any, location: Path, *, engine: str) -> Any:
    """Append one row; return the number of committed rows, or the refusal."""
    there, execution = place(f"{SCHEMA}.{target.name}", location), EXECUTIONS[engine]
    row = dict.fromkeys(REJECTED.names, "x") | target.row | {"execution_id": execution}
    made = Provenance(
        "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/governed-finetune/execution/"
        f"{execution}",
        "edgar.raw.filings",
        0,
        "a" * 64,
        "risk-factor-heading/1",
    )

    def append() -> int:
        store.check_target(there, REJECTED)
        frame = spark.createDataFrame([row], REJECTED.ddl)
        return sum(
            file.rows or 0 for file in store.append(frame, there, Content(REJECTED, 1, made)).files
        )

    return _answer(append)


def read(store: DeltaStore, raw: Any, location: Path) -> Any:
    """Read a raw table; return its rows, or the refusal."""
    there = place(f"{SCHEMA}.raw_{raw.name}", location)

    def rows() -> list[list[str]]:
        version = store.resolve_version(there, raw.version)
        counted, found = (
            store.rows(there, version),
            store.read(there, version, ["cik", "item_1a"]).collect(),
        )
        assert counted in (None, len(found))
        return sorted([row["cik"], row["item_1a"]] for row in found)

    return _answer(rows)


def _answer(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except GovernanceError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        return {
            label: next((line[9:].strip() for line in lines if line.startswith(label)), "")
            for label in ("got", "do")
        } | {"what": error.what}
