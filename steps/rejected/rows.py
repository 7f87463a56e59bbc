"""The rejected rows of one execution, read with vended READ keys of the rejected table alone.

    found = rows.read(catalog, arguments)
    found["reasons"]    # {"near_duplicate": 30, …}, of all rows
    found["rows"]       # the first ones, without text unless the detail is asked for

Only the columns that are printed are read. Whether the principal may read the table is Unity
Catalog's answer; nothing here decides it. Reads have no effect, so they are repeated while the
storage does not answer (`credentials.with_keys`). Memory does not grow with the table.
"""

from collections import Counter
from typing import Any

import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from steps.governance.delta_storage import briefly, storage_error
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.credentials import Access, with_keys
from steps.rejected.arguments import Arguments

_PLAIN = ("reason", "source_filing", "cik", "company", "filing_type", "filing_date")
_QUOTING = "detail"  # quotes a heading, so it is text of the governed tables


def read(catalog: Catalog, arguments: Arguments) -> dict[str, Any]:
    """Return the table, its version, the number of rows by reason, and the first rows.

    Raises:
        NotFound: no execution has written the table yet.
        AccessDenied: the principal may not read it.
        Unavailable, GovernanceError: the storage failed.
    """
    table = catalog.table(arguments.curated_table.sibling("rejected"))
    access = catalog.read_access(table)
    found = with_keys(access, lambda: _read(access, arguments, str(table.name)))
    return {"table": str(table.name), **found}


def _read(access: Access, arguments: Arguments, name: str) -> dict[str, Any]:
    doing = f"read the rejected rows in {name}"
    columns = [*_PLAIN, *((_QUOTING,) if arguments.detail else ())]
    try:
        table = DeltaTable(access.location, storage_options=briefly(access.storage_options()))
        own = pc.field("execution_id") == arguments.execution_id
        batches = table.to_pyarrow_dataset().to_batches(columns=columns, filter=own)
        reasons, rows = _counted(batches, arguments)
    except (OSError, DeltaError) as error:
        raise storage_error(doing, error) from error
    by_count = dict(sorted(reasons.items(), key=lambda each: (-each[1], each[0])))
    return {"version": table.version(), "reasons": by_count, "rows": rows}


def _counted(batches: Any, arguments: Arguments) -> tuple[Counter[str], list[dict[str, Any]]]:
    reasons, rows = Counter[str](), list[dict[str, Any]]()
    for batch in batches:
        counts = pc.value_counts(batch["reason"])
        reasons.update({str(each["values"]): each["counts"].as_py() for each in counts})
        chosen = batch
        if arguments.reason:
            chosen = batch.filter(pc.equal(batch["reason"], arguments.reason))
        rows += chosen.slice(0, arguments.most - len(rows)).to_pylist()
    return reasons, rows
