"""Which filings gave examples: the rows of Prepare's membership file, from the survey's groups."""

from typing import Any

import pyarrow as pa

from steps.governance import membership
from steps.prepare import split
from steps.prepare.survey import Survey


def of(found: Survey, *, bound: str, seed: int) -> pa.Table:
    """Return one row for each filing with examples (`steps.governance.membership.SCHEMA`)."""
    columns: dict[str, list[Any]] = {name: [] for name in membership.SCHEMA.names}
    for group in found.giving:
        cik = group.cik or ""
        train = split.split_of(cik, bound=bound, seed=seed) == split.TRAIN
        for identity, sha256, rows in group.members():
            columns["filing_id"].append(identity)
            columns["cik"].append(cik)
            columns["text_sha256"].append(bytes.fromhex(sha256))
            columns["examples_train"].append(rows if train else 0)
            columns["examples_eval"].append(0 if train else rows)
    return pa.table(columns, schema=membership.SCHEMA)
