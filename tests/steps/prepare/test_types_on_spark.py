"""docs/data.md, "Columns and their types", on tables of real Spark 4 and Delta 4, for every engine.

By default one type of each kind is written; `make test-long` writes every line of the page.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps.governance.errors import GovernanceError
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.filings.columns import chosen
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.real_spark import REPOSITORY, RealSpark, needed
from tests.steps.prepare.support.types_on_spark import judged, placed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LINE = re.compile(
    r"\| `(\w+)` \| `([A-Z_]+(?:\([0-9,]+\))?)` \| `([^`]*)` "
    r"\| (?:(rejected|ignored|refused) )?`([^`]*)` \|"
)
# One type of each kind of conversion: text, bytes, integer, floating point, date, instant.
KINDS = {"STRING", "BINARY", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP"}
SHOWN_IN = {
    "period_of_report": "year",
    "filename": "source_filing",
    "accession_number": "filing_id",
}

pytestmark = needed


def documented() -> list[tuple[str, str, str, str, str]]:
    """Return column, type, value, what happens (empty: converted), and the text or message."""
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
    """Return a filing as text, with its number as `filename`."""
    return (
        fakes.filing(5000 + number, 2021, filename=f"{number:08}")
        | {"accession_number": None}
        | values
    )


def table_of(kind: str) -> str:
    """Return the name of the table with the rows of one type."""
    return f"t_{re.sub('[^a-z0-9]', '_', kind.lower())}"


def tables(which: str) -> dict[str, Any]:
    """Return the tables of "kinds" or "all".

    There is one table per type with a row per documented value, one per line that the schema alone
    decides, and one per layout.
    """
    found: dict[str, Any] = {}
    for number, (column, kind, value, _, _) in enumerate(BY_ROW):
        if which == "kinds" and kind not in KINDS:
            continue
        table = found.setdefault(table_of(kind), {"columns": dict(PLAIN), "rows": []})
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
    for number, (column, kind, _, what, _) in enumerate(BY_SCHEMA):
        if which == "kinds" and what in {line[3] for line in BY_SCHEMA[:number]}:
            continue
        found[f"s_{number}"] = {"columns": PLAIN | {column: kind}, "rows": []}
    return found | layouts()


def _own(one: dict[str, str | None], column: str) -> bool:
    """Return whether this row tests this column.

    A row that tests `filename` has another name there, and no other typed column.
    """
    name = str(one["filename"])
    return len(name) == 8 and BY_ROW[int(name)][0] == column


def layouts() -> dict[str, Any]:
    """Return the same rows in each layout: plain, deletion vectors, column mapping, partitions."""
    columns = {
        "CIK": "BIGINT", "company": "STRING", "filing_type": "STRING", "Filing_Date": "DATE",
        "period_of_report": "TIMESTAMP", "SIC": "INT", "filename": "STRING", "Item_1A": "STRING",
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
            "columns": {"number": "BIGINT"}
            | {name: kind for name, kind in columns.items() if name != "CIK"},
            "rows": [{"number": one["CIK"]} | one for one in rows],
            "properties": mapping,
            "then": ["ALTER TABLE {table} RENAME COLUMN number TO CIK"],
        },
        "l_partitioned": same | {"partition": "Filing_Date, SIC"},
        "l_other_partition": {
            "columns": columns | {"note": "STRING"},
            "partition": "note",
            "rows": [one | {"note": f"50% of {n}/x: y"} for n, one in enumerate(rows)],
        },
    }  # fmt: skip


@pytest.fixture(scope="module", params=["kinds", pytest.param("all", marks=pytest.mark.long)])
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real_spark: RealSpark
) -> Path:
    folder = tmp_path_factory.mktemp("types")
    (folder / "tables.json").write_text(json.dumps(tables(request.param)))
    real_spark.run("types_on_spark", folder, request.param)
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


def test_every_documented_value_gives_the_documented_text(found: dict[str, Any]) -> None:
    wrong = []
    for number, (column, kind, value, what, text) in enumerate(BY_ROW):
        for engine, rows in found.get(table_of(kind), {"rows": {}})["rows"].items():
            # A number has lost its leading zeros
            name = int(value) if column == "filename" else number
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
        for types in found.get(f"s_{number}", {}).values():
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
