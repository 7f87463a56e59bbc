"""A real Delta table on a local folder, as Prepare leaves it, and the two seams through which Train meets the world."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, write_deltalake

from steps.governance.catalog import Table
from steps.governance.errors import Conflict
from steps.governance.manifest import (
    FileEntry,
    Prepared,
    PreparedCounts,
    RejectedVersion,
    TableVersion,
)
from steps.governance.names import UcName, execution_id

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/abcdefghijkl"
OTHER_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/zzzzzzzzzzzz"
NAME = "edgar.curated.risk_factor_examples"
TABLE_ID = "11111111-1111-1111-1111-111111111111"


def rows(arn: str, train: int = 24, held_out: int = 6) -> list[dict[str, object]]:
    """Examples that a tiny model can learn something of."""
    risks = [
        "competition",
        "litigation",
        "new regulation",
        "interest rates",
        "supply shortages",
        "product defects",
    ]
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
            "prompt": f"Write the heading. We face {risks[i % 6]}, which could harm our business in many ways. "
            * 3,
            "completion": f"Our business could be harmed by {risks[i % 6]}.",
        }
        for i in range(train + held_out)
    ]


def commit(folder: Path, arn: str, **counts: int) -> None:
    """One execution's commit, with its ARN in the commit's metadata."""
    write_deltalake(
        folder,
        pa.Table.from_pylist(rows(arn, **counts)),
        mode="append",
        partition_by=["execution_id"],
        commit_properties=CommitProperties(custom_metadata={"execution_arn": arn}),
    )


def prepared(folder: Path, arn: str, version: int, train: int = 24, held_out: int = 6) -> Prepared:
    """The manifest of one execution's commit, made from what lies on disk."""
    partition = f"execution_id={execution_id(arn)}"
    files = [
        FileEntry(
            path=str(path.relative_to(folder)),
            size=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            rows=pq.read_metadata(path).num_rows,
        )
        for path in sorted((folder / partition).glob("*.parquet"))
    ]
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
        files=files,
        schema_sha256="0" * 64,
        template="risk-factor-heading/1",
        counts=counts,
    )


def replace_file(folder: Path, table: pa.Table) -> None:
    """Make `table` the content of the one data file of version 0, and let the log agree: what Prepare would never write."""
    (path,) = folder.glob("execution_id=*/*.parquet")
    pq.write_table(table, path)
    entry = folder / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "add" in action:
            action["add"]["size"] = path.stat().st_size
    entry.write_text("\n".join(map(json.dumps, actions)))


class LocalAccess:
    """Access to a local folder needs no keys."""

    def storage_options(self) -> dict[str, str]:
        """None."""
        return {}


class LocalCatalog:
    """A catalog that knows one table."""

    principal = "train-principal"

    def __init__(self, folder: Path, table_id: str = TABLE_ID) -> None:
        self._table = Table(UcName.parse(NAME), table_id, str(folder))

    def table(self, name: UcName) -> Table:
        """The table, whatever it is called."""
        assert name == self._table.name
        return self._table

    def read_access(self, table: Table) -> LocalAccess:
        """The right to read it."""
        assert table == self._table
        return LocalAccess()


class MemoryEvidence:
    """An evidence bucket in memory."""

    def __init__(self, documents: dict[str, bytes]) -> None:
        self.documents = documents

    def read(self, uri: str) -> bytes:
        """What was written."""
        return self.documents[uri]

    def write_once(self, uri: str, content: bytes) -> None:
        """As the real one."""
        if self.documents.setdefault(uri, content) != content:
            raise Conflict(f"{uri} was already written with other content")
