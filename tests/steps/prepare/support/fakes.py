"""Fakes for Prepare: a catalog over a folder with rights, a write-once store in memory, filings.

No pytest here: the parity test runs this module under another Python environment too.
"""

import json
import os
import random
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from steps.governance.documents import builds
from steps.governance.documents.reading import Grant, Reading
from steps.governance.errors import AccessDenied, Conflict, NotFound
from steps.governance.evidence import JSON
from steps.governance.names import UcName
from steps.governance.unity_catalog import granted
from steps.governance.unity_catalog.catalog import Table
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.prepare.arguments import Arguments
from steps.prepare.bounds import Bounds

# The code that these tests run is of no image: this is the file that an image would have.
os.environ.setdefault(builds.VARIABLE, str(Path(__file__).with_name("build.json")))

# Tests change a few filings of a few, which is a lot.
ANY_CHANGE = Bounds(
    least_growth=0,
    most_growth=1e6,
    share_change=1,
    length_change=1e6,
    years_distance=1,
    words_distance=1,
)
RAW_COLUMNS = (
    "cik", "company", "filing_type", "filing_date", "period_of_report", "sic", "state_of_inc",
    "filename", "item_1a", "part_2_item_1a",
)  # fmt: skip
RAW_SCHEMA = pa.schema([(name, pa.string()) for name in RAW_COLUMNS])


def execution_arn(identifier: str = "abcdefghijkl") -> str:
    return (
        "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/governed-finetune/execution/"
        f"{identifier}"
    )


def arguments(root: Path, **changes: Any) -> Arguments:
    """Return the arguments of a run over tables in `root`."""
    values: dict[str, Any] = {
        "execution_arn": execution_arn(),
        "raw_table": UcName.parse("edgar.raw.filings"),
        "raw_version": -1,
        "curated_table": UcName.parse("edgar.curated.examples"),
        "curated_root": str(root / "curated"),
        "manifest_uri": "s3://evidence/executions/abcdefghijkl/prepare/manifest.json",
        "eval_fraction": 0.25,
        "seed": 17,
        "delta_engine": "delta-rs",
        "model_name": UcName.parse("edgar.models.risk_analyst"),
        "model_alias": "challenger",
        "register_principal": "unknown",
        "databricks_host": "https://dbc.cloud.databricks.com",
        "databricks_secret_id": "databricks/prepare",
        "region": "eu-west-1",
        "contract": ANY_CHANGE,
    }
    return Arguments(**values | changes)


@dataclass
class FolderCatalog:
    """Unity Catalog's answers over a folder.

    `refused` holds what the principal may not do, as `"<verb> <table>"`.
    """

    root: Path
    principal: str = "prepare-application-id"
    tables: dict[UcName, Table] = field(default_factory=dict)
    schemas: set[str] = field(
        default_factory=lambda: {"edgar.raw", "edgar.curated", "other.curated"}
    )
    refused: set[str] = field(default_factory=set)
    vended: list[str] = field(default_factory=list)

    def add(self, name: str, location: Path) -> Table:
        full = UcName.parse(name)
        self.tables[full] = Table(full, f"id-of-{name}", str(location))
        return self.tables[full]

    def table(self, name: UcName) -> Table:
        if name not in self.tables:
            raise NotFound(f"{self.principal} tried to look up table {name}", got="no such table")
        return self.tables[name]

    def find_table(self, name: UcName) -> Table | None:
        return self.tables.get(name)

    def require_schema(self, name: UcName) -> None:
        if name.schema_name not in self.schemas:
            raise NotFound(
                f"{self.principal} tried to look up schema {name.schema_name}", got="no such schema"
            )

    def read_access(self, table: Table) -> Access:
        return self._access("read", str(table.name), table.location)

    def write_access(self, table: Table) -> Access:
        return self._access("write", str(table.name), table.location)

    def reading(self, table: Table, access: Access) -> Reading:
        grant = Grant(
            privilege="SELECT",
            holder=self.principal,
            securable_type="TABLE",
            securable=str(table.name),
        )
        return Reading(
            principal=self.principal,
            table=str(table.name),
            read_at=granted.rfc3339(utc_now()),
            credential=granted.vended(access),
            grants=[grant],
        )

    def create_access(self, location: str) -> Access:
        access = self._access("create", location, location)
        Path(location).mkdir(parents=True, exist_ok=True)  # S3 needs no folder
        return access

    def create_external_table(
        self, name: UcName, location: str, *, columns: list[Any], properties: dict[str, str]
    ) -> Table:
        found = self.tables.get(name)
        if found is not None and found.location != location:
            raise Conflict(f"table {name} is stored elsewhere")
        return found or self.add(str(name), Path(location))

    def _access(self, verb: str, name: str, location: str) -> Access:
        if f"{verb} {name}" in self.refused:
            raise AccessDenied(
                f"{self.principal} was refused: {verb} table {name}",
                expected=f"EXTERNAL USE SCHEMA on schema {name.rsplit('.', 1)[0]}",
                got="no such privilege",
            )
        self.vended.append(f"{verb} {name}")
        return Access(location, _credential)


def _credential() -> Credential:
    """Vend new keys: a job of an hour renews them."""
    now = utc_now()
    return Credential("key", "secret", "token", now, now + timedelta(hours=1))


@dataclass
class MemoryEvidence:
    """Write-once documents."""

    documents: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def write_once(self, uri: str, content: bytes, *, content_type: str = JSON) -> None:
        self.types[uri] = content_type
        if self.documents.setdefault(uri, content) != content:
            raise Conflict(f"{uri} was already written with other content")

    def read(self, uri: str) -> bytes:
        if uri not in self.documents:
            raise NotFound(f"nothing there: read {uri}")
        return self.documents[uri]


_SUBJECTS = (
    "customers",
    "suppliers",
    "patents",
    "pension plans",
    "tariffs",
    "data centers",
    "key people",
    "raw materials",
)
_OUTCOMES = ("harm our revenue", "reduce our margins", "delay our products", "increase our costs")
_WORDS = (
    "demand", "price", "quarter", "contract", "market", "region", "plant", "product", "license",
    "order", "employee", "system", "audit", "supply", "credit",
)  # fmt: skip


def section(company: str, factors: int = 4, *, seed: int = 0) -> str:
    """Return an Item 1A with headings on separate lines and page furniture."""
    draw = random.Random(f"{company}{seed}")  # noqa: S311 - test data
    lines = [
        "Item 1A. Risk Factors",
        "You should carefully consider the following risks before you invest in our stock.",
    ]
    for number in range(factors):
        subject, outcome = draw.choice(_SUBJECTS), draw.choice(_OUTCOMES)
        lines.append(f"Our dependence on {subject} at {company} may {outcome} in case {number}.")
        sentences = (
            f"The {draw.choice(_WORDS)} of our {draw.choice(_WORDS)} depends on the "
            f"{draw.choice(_WORDS)} of {subject}, and a "
            f"{draw.choice(_WORDS)} of {draw.randint(2, 90)} percent would change our "
            f"{draw.choice(_WORDS)}."
            for _ in range(5)
        )
        lines.append(" ".join(sentences))
        lines.append(str(number + 10))
    return "\n".join(lines)


def filing(cik: int, year: int, **changes: str | None) -> dict[str, str | None]:
    """Return one raw row."""
    values: dict[str, str | None] = {
        "cik": str(cik),
        "company": f"Company {cik} Inc",
        "filing_type": "10-K",
        "filing_date": f"{year}-03-01",
        "period_of_report": f"{year - 1}-12-31",
        "sic": "3570",
        "state_of_inc": "DE",
        "filename": f"{cik}_10K_{year}.htm",
        "item_1a": section(f"Company {cik}", seed=year),
        "part_2_item_1a": None,
    }
    return values | changes


def corpus() -> list[dict[str, str | None]]:
    """Return filings of eight companies in two years, and one filing for most reasons."""
    rows = [filing(cik, year) for cik in range(1001, 1009) for year in (2020, 2021)]
    rows.append(filing(1001, 2003, item_1a=None))
    rows.append(
        filing(
            1002,
            2022,
            item_1a="Item 1A. Risk Factors\nNot required for smaller reporting companies.",
        )
    )
    rows.append(filing(1003, 2022) | {"cik": "10O3"})
    rows.append(filing(1004, 2022, filing_type="8-K"))
    rows.append(filing(1005, 2022, item_1a=section("Company 1005", seed=2021)))
    rows.append(
        filing(
            1006,
            2022,
            filing_type="10-Q",
            item_1a=None,
            part_2_item_1a=section("Company 1006", 2, seed=9),
        )
    )
    return rows


def raw_table(location: Path, rows: list[dict[str, str | None]], *, files: int = 2) -> Path:
    """Write a raw Delta table of some data files, in one version per file."""
    size = -(-len(rows) // files) or 1
    for start in range(0, max(len(rows), 1), size):
        write_deltalake(
            str(location),
            pa.Table.from_pylist(rows[start : start + size], schema=RAW_SCHEMA),
            mode="append",
        )
    return location


def real_filings(path: Path) -> list[dict[str, str | None]]:
    """Return EDGAR-CRAWLER's JSON lines as raw rows."""
    with path.open() as lines:
        documents = [json.loads(line) for line in lines]
    return [
        {name: document.get(name, document.get(name.replace("_1a", "_1A"))) for name in RAW_COLUMNS}
        for document in documents
    ]
