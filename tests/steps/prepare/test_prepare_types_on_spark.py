"""Each line of docs/data.md, "Columns and their types", on tables that real Spark 4 and Delta 4 wrote, read by every engine."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps.governance.errors import GovernanceError
from steps.prepare.columns import chosen
from steps.prepare.delta_rs import DeltaRsStore
from tests.steps.prepare import prepare_fakes as fakes
from tests.steps.prepare.types_on_spark import judged, placed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parents[3]
SPARK = REPOSITORY / "build" / "spark-venv" / "bin" / "python"
LINE = re.compile(
    r"\| `(\w+)` \| `([A-Z_]+(?:\([0-9,]+\))?)` \| `([^`]*)` \| (?:(rejected|ignored|refused) )?`([^`]*)` \|"
)
SHOWN_IN = {
    "period_of_report": "year",
    "filename": "source_filing",
    "accession_number": "filing_id",
}

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        shutil.which("java") is None,
        reason="real Spark needs Java 17, and there is no java on the PATH",
    ),
    pytest.mark.skipif(
        not SPARK.exists(), reason="build/spark-venv is not there: run scripts/spark-venv"
    ),
]


def documented() -> list[tuple[str, str, str, str, str]]:
    """Column, type, value, what happens (empty: converted), the text or message."""
    section = (
        (REPOSITORY / "docs" / "data.md")
        .read_text()
        .split("## Columns and their types")[1]
        .split("\n## ")[0]
    )
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    found = [LINE.fullmatch(line) for line in lines]
    assert lines
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return [(m[1], m[2], m[3], m[4] or "", m[5]) for m in found if m is not None]


BY_SCHEMA = [line for line in documented() if line[3] == "refused" or "type" in line[4]]
BY_ROW = [line for line in documented() if line not in BY_SCHEMA]
PLAIN = dict.fromkeys((*fakes.RAW_COLUMNS, "accession_number"), "STRING")


def row(number: int, **values: str | None) -> dict[str, str | None]:
    """A filing as text; `filename` tells it from the others."""
    return (
        fakes.filing(5000 + number, 2021, filename=f"{number:08}")
        | {"accession_number": None}
        | values
    )


def tables() -> dict[str, Any]:
    """One table per type with a row per documented value, one per type that is judged by the schema, and other layouts."""
    found: dict[str, Any] = {}
    for number, (column, kind, value, _, _) in enumerate(BY_ROW):
        table = found.setdefault(
            f"t_{re.sub('[^a-z0-9]', '_', kind.lower())}", {"columns": dict(PLAIN), "rows": []}
        )
        table["columns"][column] = kind
        table["rows"].append(row(number) | {column: value})
    for table in found.values():
        usable = {c: v for c, k, v, what, _ in BY_ROW if not what and table["columns"][c] == k}
        typed = {
            c: v for c, v in usable.items() if table["columns"][c] != "STRING" and c != "filename"
        }
        table["rows"] = [
            {**one, **{c: one[c] if _own(one, c) else typed[c] for c in typed}}
            for one in table["rows"]
        ]
    for number, (column, kind, _, _, _) in enumerate(BY_SCHEMA):
        found[f"s_{number}"] = {"columns": PLAIN | {column: kind}, "rows": []}
    return found | layouts()


def _own(one: dict[str, str | None], column: str) -> bool:
    """Does this row test this column? A row that tests `filename` has another name there, and no other typed column."""
    name = str(one["filename"])
    return len(name) == 8 and BY_ROW[int(name)][0] == column


def layouts() -> dict[str, Any]:
    """The same typed rows as plain files, behind deletion vectors, with mapped column names, and as partition values."""
    columns = {
        "CIK": "BIGINT", "company": "STRING", "filing_type": "STRING", "Filing_Date": "DATE", "period_of_report": "TIMESTAMP",
        "SIC": "INT", "filename": "STRING", "Item_1A": "STRING",
    }  # fmt: skip
    texts = [fakes.filing(1001 + number, 2021) for number in range(3)]
    lower = {name.lower(): name for name in columns}
    rows = [{lower[name]: value for name, value in one.items() if name in lower} for one in texts]
    rows[0]["SIC"] = "100"
    rows[1]["SIC"] = None
    same = {"columns": columns, "rows": rows}
    vectors = {"delta.enableDeletionVectors": "true"}
    mapping = {"delta.columnMapping.mode": "name"}
    extra = {**rows[0], "filename": "deleted"}
    return {
        "l_plain": same,
        "l_deleted": same | {"rows": [*rows, extra], "properties": vectors,
                             "then": ["DELETE FROM {table} WHERE filename = 'deleted'"]},
        "l_mapped": {
            "columns": {"number": "BIGINT"} | {name: kind for name, kind in columns.items() if name != "CIK"},
            "rows": [{"number": one["CIK"]} | one for one in rows],
            "properties": mapping,
            "then": ["ALTER TABLE {table} RENAME COLUMN number TO CIK"],
        },
        "l_partitioned": same | {"partition": "Filing_Date, SIC"},
        "l_other_partition": same | {"columns": columns | {"note": "STRING"}, "partition": "note",
                                     "rows": [one | {"note": f"50% of {n}/x: y"} for n, one in enumerate(rows)]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    (folder / "tables.json").write_text(json.dumps(tables()))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    environment = kept | {
        "PYTHONPATH": str(REPOSITORY),
        "AWS_REGION": "us-east-1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [str(SPARK), str(Path(__file__).with_name("types_on_spark.py")), str(folder)]
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def found(folder: Path, spark: "SparkSession") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    documents = json.loads((folder / "tables.json").read_text())
    for name, table in found.items():
        if "rows" in table:
            table["rows"]["sail"] = judged(
                DeltaRsStore(spark),
                placed(name, folder / name),
                1 + len(documents[name].get("then", [])),
            )
    return found


def test_every_documented_value_becomes_what_the_table_says(found: dict[str, Any]) -> None:
    wrong = []
    for number, (column, kind, value, what, text) in enumerate(BY_ROW):
        for engine, rows in found[f"t_{re.sub('[^a-z0-9]', '_', kind.lower())}"]["rows"].items():
            name = (
                int(value) if column == "filename" else number
            )  # a number has lost its leading zeros
            (one,) = [one for one in rows if int(one["source_filing"]) == name]
            shown = one[
                {"rejected": "detail", "ignored": "ignored"}.get(what, SHOWN_IN.get(column, column))
            ]
            if str(shown) != text and not (
                column == "accession_number" and str(shown).endswith(f"/{text}")
            ):
                wrong.append(f"{column} {kind} {value} on {engine}: {shown}, documented {text}")
    assert not wrong, "\n".join(wrong)


def test_every_documented_type_that_cannot_be_read_is_refused_or_named(
    found: dict[str, Any],
) -> None:
    for number, (_, _, _, what, text) in enumerate(BY_SCHEMA):
        for engine in ("connector", "delta-rs"):
            types = found[f"s_{number}"][engine]
            if what == "refused":
                with pytest.raises(GovernanceError, match=re.escape(text)):
                    chosen(types, table="edgar.raw.filings", version=0)
            else:
                assert text in chosen(types, table="edgar.raw.filings", version=0).unusable


def test_every_engine_and_way_of_reading_gives_the_same_rows(found: dict[str, Any]) -> None:
    expected = found["l_plain"]["rows"]["sail"]
    assert [(one["cik"], one["sic"], one["filing_date"], one["year"]) for one in expected] == [
        ("0000001001", "0100", "2021-03-01", 2020),
        ("0000001002", None, "2021-03-01", 2020),
        ("0000001003", "3570", "2021-03-01", 2020),
    ]
    for name in layouts():
        assert found[name]["rows"] == dict.fromkeys(("connector", "delta-rs", "sail"), expected), (
            name
        )
