"""A real Delta table in a local folder, as Prepare writes it, and local stand-ins of two services.

The stand-ins are the catalog and the evidence bucket, the only services that Train calls.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, write_deltalake

from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import (
    Prepared,
    PreparedCounts,
    RejectedVersion,
    TableVersion,
)
from steps.governance.documents.reading import Reading
from steps.governance.errors import Conflict
from steps.governance.files import sha256_of
from steps.governance.names import UcName, execution_id
from steps.governance.unity_catalog.catalog import Table
from steps.governance.unity_catalog.retrying import Policy

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/abcdefghijkl"
OTHER_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/zzzzzzzzzzzz"
NAME = "edgar.curated.risk_factor_examples"
TABLE_ID = "11111111-1111-1111-1111-111111111111"


def rows(arn: str, train: int = 24, held_out: int = 6) -> list[dict[str, object]]:
    """Return examples from which a tiny model can learn something."""
    risks = [
        "competition",
        "litigation",
        "new regulation",
        "interest rates",
        "supply shortages",
        "product defects",
    ]
    prompt = "Write the heading. We face {}, which could harm our business in many ways. "
    return [
        {
            "example_id": f"x{i}",
            "execution_id": execution_id(arn),
            "split": "train" if i < train else "eval",
            "cik": str(i),
            "company": f"Company {i}",
            "sic": ("3570", "2834", "6022", "7372", None)[i % 5],
            "year": 2000 + i % 20,
            "source_filing": f"{i}.htm",
            "system": "You are an analyst.",
            "prompt": prompt.format(risks[i % 6]) * 3,
            "completion": f"Our business could be harmed by {risks[i % 6]}.",
        }
        for i in range(train + held_out)
    ]


def commit(folder: Path, arn: str, **counts: int) -> None:
    """Commit one execution's examples, with its ARN in the commit's metadata."""
    write_deltalake(
        folder,
        pa.Table.from_pylist(rows(arn, **counts)),
        mode="append",
        partition_by=["execution_id"],
        commit_properties=CommitProperties(custom_metadata={"execution_arn": arn}),
    )


def prepared(folder: Path, arn: str, version: int, train: int = 24, held_out: int = 6) -> Prepared:
    """Return the manifest of one execution's commit, made from the files on disk."""
    partition = f"execution_id={execution_id(arn)}"
    counts = PreparedCounts(
        filings_read=1,
        filings_kept=1,
        filings_rejected=0,
        examples_train=train,
        examples_eval=held_out,
        examples_rejected=0,
        companies_train=train,
        companies_eval=held_out,
        rejected_by_reason={},
    )
    return Prepared(
        schema="governed-finetune/prepared/1",
        execution_arn=arn,
        created_at="2026-11-22T05:00:00Z",
        principal="prepare",
        source=TableVersion(
            table="edgar.raw.filings", table_id="r", location="s3://raw", version=0
        ),
        target=TableVersion(
            table=NAME,
            table_id=TABLE_ID,
            location=str(folder),
            version=version,
            partition=partition,
        ),
        rejected=RejectedVersion(table=f"{NAME}_rejected", version=version),
        files=_files(folder, partition),
        schema_sha256="0" * 64,
        template="risk-factor-heading/1",
        counts=counts,
    )


def _files(folder: Path, partition: str) -> list[FileEntry]:
    return [
        FileEntry(
            path=str(path.relative_to(folder)),
            size=path.stat().st_size,
            sha256=sha256_of(path),
            rows=pq.read_metadata(path).num_rows,
        )
        for path in sorted((folder / partition).glob("*.parquet"))
    ]


def replace_file(folder: Path, table: pa.Table) -> None:
    """Replace the only data file of version 0 by `table`, and its size in the log.

    Tests use it for content that Prepare would never write.
    """
    (path,) = folder.glob("execution_id=*/*.parquet")
    pq.write_table(table, path)
    entry = folder / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "add" in action:
            action["add"]["size"] = path.stat().st_size
    entry.write_text("\n".join(map(json.dumps, actions)))


class LocalAccess:
    """Access to a local folder, which needs no credentials."""

    renewals = 3
    policy = Policy()

    def storage_options(self) -> dict[str, str]:
        """Return no options."""
        return {}


class LocalCatalog:
    """A catalog that knows one table."""

    principal = "train-principal"

    def __init__(self, folder: Path, table_id: str = TABLE_ID) -> None:
        self._table = Table(UcName.parse(NAME), table_id, str(folder))

    def table(self, name: UcName) -> Table:
        """Return the table."""
        assert name == self._table.name
        return self._table

    def read_access(self, table: Table) -> LocalAccess:
        """Return access to the table."""
        assert table == self._table
        return LocalAccess()

    def reading(self, table: Table, access: LocalAccess) -> Reading:
        """Return the record of a reading that nobody granted."""
        credential = {
            "location": "s3://governed/curated",
            "operation": "READ",
            "issued_at": "2026-11-22T05:00:00Z",
            "expires_at": "2026-11-22T06:00:00Z",
            "renewals": access.renewals,
        }
        return Reading.model_validate(
            {
                "principal": self.principal,
                "table": str(table.name),
                "read_at": "2026-11-22T05:00:01Z",
                "credential": credential,
                "grants": [],
            }
        )


class MemoryEvidence:
    """An evidence bucket in memory."""

    def __init__(self, documents: dict[str, bytes]) -> None:
        self.documents = documents

    def read(self, uri: str) -> bytes:
        """Return a document that was written."""
        return self.documents[uri]

    def write_once(self, uri: str, content: bytes) -> None:
        """Write a document; refuse other content under the same URI, as the real bucket does."""
        if self.documents.setdefault(uri, content) != content:
            raise Conflict(f"{uri} was already written with other content")
