"""Which filings gave examples: Prepare's membership file, from the survey's groups."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from steps.governance.documents import membership
from steps.governance.documents.document import FileEntry
from steps.governance.evidence import require_size
from steps.prepare.filings import split
from steps.prepare.filings.survey import Survey


@dataclass(frozen=True)
class Listed:
    """The file: where it is written, its bytes, and its entry in the manifest."""

    uri: str
    content: bytes
    entry: FileEntry


def of(found: Survey) -> pa.Table:
    """Return one row for each filing with examples, with `membership.SCHEMA`."""
    sides: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for group in found.giving:
        for identity, sha256, rows in group.members():
            sides[group.cik or "", identity, sha256][group.split or ""] += rows
    columns: dict[str, list[Any]] = {name: [] for name in membership.SCHEMA.names}
    for (cik, identity, sha256), rows_of in sorted(sides.items()):
        columns["filing_id"].append(identity)
        columns["cik"].append(cik)
        columns["text_sha256"].append(bytes.fromhex(sha256))
        columns["examples_train"].append(rows_of[split.TRAIN])
        columns["examples_eval"].append(rows_of[split.EVAL])
    return pa.table(columns, schema=membership.SCHEMA)


def listed(rows: pa.Table, manifest_uri: str) -> Listed:
    """Return the file of these rows, next to the manifest.

    Raises:
        GovernanceError: it is larger than a document of the evidence may be.
    """
    content = membership.to_bytes(rows)
    uri = f"{manifest_uri.rpartition('/')[0]}/{membership.name(content)}"
    require_size(uri, content)
    return Listed(uri, content, membership.entry(content, len(rows)))
