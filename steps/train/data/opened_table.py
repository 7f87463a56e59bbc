"""The curated table, opened by this process: its verified rows, and who allowed the reading.

table = opened(prepared, arguments, services)
for batch in table.batches: …
table.reading                       # steps.governance.documents.reading.Reading, for the manifest
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from steps.governance.documents.manifest import Prepared
from steps.governance.documents.reading import Reading
from steps.governance.errors import NotFound
from steps.train.arguments import Arguments
from steps.train.data import verified_table
from steps.train.services import Services


@dataclass(frozen=True)
class OpenedTable:
    """`batches` are verified while they are read; `at_first` has the rights as of the opening."""

    batches: Iterator[pa.RecordBatch]
    at_first: Reading
    access: Any

    @property
    def reading(self) -> Reading:
        """The record of the reading, with the credentials that were vended until now."""
        credential = self.at_first.credential.model_copy(update={"renewals": self.access.renewals})
        return self.at_first.model_copy(update={"credential": credential})


def manifest(arguments: Arguments, services: Services) -> Prepared:
    """Return the manifest of this execution's Prepare.

    Raises:
        NotFound: this execution ran no Prepare, as where only Train was selected.
        IntegrityError: it is not such a manifest.
    """
    uri = arguments.prepare_manifest_uri
    try:
        content = services.evidence.read(uri)
    except NotFound as error:
        raise NotFound(
            f"execution {arguments.execution_id} ran no Prepare, whose examples it needs",
            expected=f"its manifest at {uri}",
            got="none: the steps that were selected begin after Prepare",
            do="start the whole pipeline; with CuratedFrom=EXECUTION its Prepare verifies the "
            "examples of that execution in seconds instead of making them again",
        ) from error
    return Prepared.from_bytes(content, origin=uri)


def opened(prepared: Prepared, arguments: Arguments, services: Services) -> OpenedTable:
    """Open the curated table at the manifest's version and write down who allowed it.

    Raises:
        IntegrityError: it is not what Prepare wrote (`verified_table`).
        AccessDenied, NotFound, Unavailable: the catalog or the storage refused or failed.
    """
    table = services.catalog.table(arguments.curated_table)
    access = services.catalog.read_access(table)
    reading = services.catalog.reading(table, access)
    batches = verified_table.stream(prepared, table, access, execution_arn=arguments.execution_arn)
    return OpenedTable(batches, reading, access)
