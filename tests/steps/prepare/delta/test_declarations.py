"""An owner's declarations are honoured or refused by name before anything is read or staged."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from steps.governance.errors import Conflict
from steps.prepare.delta import row_rules
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.job import Job
from steps.prepare.schemas import EXAMPLES, REJECTED
from tests.steps.prepare.support import fakes, made_before

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


class World:
    """A raw table, both targets made before, and the job on Sail."""

    def __init__(self, spark: "SparkSession", root: Path, **examples: Any) -> None:
        self.store, self.root, self.catalog = DeltaRsStore(spark), root, fakes.FolderCatalog(root)
        self.catalog.add("edgar.raw.filings", fakes.raw_table(root / "raw", fakes.corpus()))
        self.tables = {name: root / name for name in ("examples", "examples_rejected")}
        made_before.table(self.tables["examples"], EXAMPLES, **examples)
        made_before.table(self.tables["examples_rejected"], REJECTED)
        for name, location in self.tables.items():
            self.catalog.add(f"edgar.curated.{name}", location)

    def run(self) -> Any:
        return Job(
            fakes.arguments(self.root), self.catalog, self.store, fakes.MemoryEvidence()
        ).run()  # type: ignore[arg-type]

    def refused(self) -> str:
        """Run, and return the refusal; check that nothing was written to either table."""
        with pytest.raises(Conflict) as refusal:
            self.run()
        assert not [
            path for location in self.tables.values() for path in location.rglob("*.parquet")
        ]
        assert all(DeltaTable(str(location)).version() == 0 for location in self.tables.values())
        return str(refusal.value)

    def rows(self) -> list[dict[str, Any]]:
        return list(DeltaTable(str(self.tables["examples"])).to_pyarrow_table().to_pylist())


CHECKED: dict[str, Any] = {
    "protocol": {"minReaderVersion": 1, "minWriterVersion": 3},
    "properties": {
        "delta.constraints.recent": "YEAR > 2000",
        "delta.constraints.long_enough": "length ( prompt ) > 20",
        "delta.constraints.no_text_of_sql": "prompt <> 'it\\'s count(1), explode(x)' AND "
        "exists(array(year), y -> y > 0)",
    },
}


@pytest.mark.parametrize(
    "declared",
    [
        {
            "columns": {
                "cik": {"metadata": {"comment": "SEC central index key", "owner": {"team": [1, 2]}}}
            }
        },
        {"columns": {"year": {"metadata": {"CURRENT_DEFAULT": "2020", "EXISTS_DEFAULT": "2020"}}}},
        {
            "properties": {
                "team": "x",
                "delta.dataSkippingNumIndexedCols": "2",
                "delta.appendOnly": "true",
            }
        },
        {"columns": {"cik": {"nullable": False}, "execution_id": {"nullable": False}}},
        {"columns": {"cik": {"metadata": {"__CHAR_VARCHAR_TYPE_STRING": "varchar(10)"}}}},
        {
            "columns": {
                "year": {
                    "metadata": {
                        "delta.invariants": json.dumps(
                            {"expression": {"expression": "year > 2000"}}
                        )
                    }
                }
            }
        },
        {"protocol": made_before.with_features("deletionVectors", reader=True)},
        CHECKED,
    ],
)
def test_what_an_append_keeps_is_honoured_and_stays_declared(
    spark: "SparkSession", tmp_path: Path, declared: dict[str, Any]
) -> None:
    world = World(spark, tmp_path, **declared)
    before = DeltaTable(str(world.tables["examples"]))
    world.run()
    after = DeltaTable(str(world.tables["examples"]))
    assert (after.version(), after.schema(), after.metadata().configuration) == (
        1,
        before.schema(),
        before.metadata().configuration,
    )
    assert pytest.approx(66) == sum(
        DeltaTable(str(world.tables["examples"])).get_add_actions()["num_records"].to_pylist()
    )


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        (
            {"properties": {"delta.constraints.old": "year < 2000"}},
            "66 rows break CHECK constraint old: year < 2000",
        ),
        (
            {"properties": {"Delta.CONSTRAINTS.Old": "year < 2000"}},
            "66 rows break CHECK constraint Old: year < 2000",
        ),
        (
            {"properties": {"delta.constraints.other": "sic <> '3570' AND cik IS NOT NULL"}},
            "66 rows break CHECK constraint other",
        ),
        (
            {"properties": {"delta.constraints.unknown": "nullif(sic, '3570') > '0'"}},
            "66 rows break CHECK constraint unknown",
        ),
        (
            {"columns": {"cik": {"metadata": {"__CHAR_VARCHAR_TYPE_STRING": "varchar(9)"}}}},
            "66 rows break type varchar(9) of column cik",
        ),
        (
            {
                "columns": {
                    "year": {
                        "metadata": {
                            "delta.invariants": '{"expression": {"expression": "year < 9"}}'
                        }
                    }
                }
            },
            "66 rows break invariant of column year: year < 9",
        ),
    ],
)
def test_a_row_that_breaks_a_rule_is_never_staged(
    spark: "SparkSession", tmp_path: Path, declared: dict[str, Any], named: str
) -> None:
    text = World(spark, tmp_path, **declared).refused()
    assert "rows break what the owner of table edgar.curated.examples declared" in text
    assert named in text


def test_null_in_a_column_that_is_not_null_is_refused_with_column_and_number(
    spark: "SparkSession", tmp_path: Path
) -> None:
    world = World(spark, tmp_path, columns={"sic": {"nullable": False}})
    rows = [fakes.filing(1001, 2021), fakes.filing(1002, 2021, sic=None), fakes.filing(1003, 2021)]
    world.catalog.add("edgar.raw.filings", fakes.raw_table(tmp_path / "other", rows))
    assert "4 rows break NOT NULL of column sic: sic IS NOT NULL" in world.refused()


@pytest.mark.parametrize(
    "expression",
    [
        "no_such_column > 1",
        "no_such_function(cik)",
        "not sql (",
        "length(cik)",
        "count(year) > 0",
        "year > 2000 AND max(year) > 0",
        "row_number() OVER (ORDER BY year) > 0",
        "sum(year) OVER () > 0",
        "year IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "cik = 'x' OR Explode (array(true))",
        "posexplode_outer(array(true))",
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_refused_by_name_before_anything_is_read(
    spark: "SparkSession", tmp_path: Path, expression: str
) -> None:
    world = World(spark, tmp_path, properties={"delta.constraints.odd": expression})
    (tmp_path / "raw" / "_delta_log" / f"{0:020}.json").unlink()
    text = world.refused()
    assert (
        "a rule of table edgar.curated.examples cannot be evaluated, nothing was written: "
        "CHECK constraint odd" in text
    )
    assert expression in text


@pytest.mark.parametrize("expression", ["year * 2000000 < 0", "year + 2147483647 < 0"])
def test_a_rule_that_holds_by_a_wrapped_number_is_refused(
    spark: "SparkSession", tmp_path: Path, expression: str
) -> None:
    world = World(spark, tmp_path, properties={"delta.constraints.odd": expression})
    text = world.refused()
    assert "cannot be evaluated, nothing was written: CHECK constraint odd" in text
    assert "arithmetic that overflows INT in 66 rows; this Spark wraps it" in text


def test_a_rule_whose_arithmetic_stays_in_range_is_honoured(
    spark: "SparkSession", tmp_path: Path
) -> None:
    rule = {"delta.constraints.odd": "year * 2 > 4000 AND section <> 'a*b' AND year - 1 > 0"}
    World(spark, tmp_path, properties=rule).run()


@pytest.mark.parametrize(
    ("declared", "named", "elsewhere"),
    [
        ({"columns": {"section": {"metadata": {"delta.generationExpression": "split"}}}},
            "generated column section", True),
        ({"columns": {"year": {"metadata": {"delta.identity.start": 1}}}}, "identity column year",
            True),
        ({"columns": {"cik": {"metadata": {"delta.somethingNew": True}}}},
            "delta.somethingNew of column cik", True),
        ({"columns": {"cik": {"metadata": {"__COLLATIONS": {"cik": "UTF8_LCASE"}}}}},
            "__COLLATIONS of column cik", True),
        ({"protocol": made_before.with_features("rowTracking", "domainMetadata")},
            "Metadata, writer feature rowTracking", True),
        ({"protocol": made_before.with_features("catalogs-of-2030")},
            "writer feature catalogs-of-2030", False),
        ({"protocol": {"minReaderVersion": 1, "minWriterVersion": 6}},
            "writer feature identityColumns", True),
        ({"protocol": {"minReaderVersion": 1, "minWriterVersion": 8}}, "writer version 8", False),
        ({"properties": {"delta.columnmapping.MODE": "Name"}}, "column mapping by name", False),
        ({"columns": {"year": {"type": "long"}}}, "year as long, not integer", False),
        ({"columns": {"cik": {"name": "CIK"}}},
            "no column cik; column CIK, which Prepare does not write", False),
        ({"columns": {"cik": {"metadata": {"__CHAR_VARCHAR_TYPE_STRING": "char(9)"}}}},
            "cik as char(9), which pads", False),
    ],
)  # fmt: skip
def test_what_an_append_would_break_is_refused_by_name_before_anything_is_read(
    spark: "SparkSession", tmp_path: Path, declared: dict[str, Any], named: str, elsewhere: bool
) -> None:
    world = World(spark, tmp_path, **declared)
    (tmp_path / "raw" / "_delta_log" / f"{0:020}.json").unlink()  # nothing could be read
    text = world.refused()
    assert named in text
    assert "choose another CuratedTable" in text
    assert ("or the delta engine unity-connector" in text) == elsewhere


def test_the_rejected_table_is_checked_as_early_as_the_curated_one(
    spark: "SparkSession", tmp_path: Path
) -> None:
    world = World(spark, tmp_path)
    world.tables["examples_rejected"] = made_before.table(
        tmp_path / "other", REJECTED, protocol=made_before.with_features("inCommitTimestamp")
    )
    world.catalog.add("edgar.curated.examples_rejected", world.tables["examples_rejected"])
    assert (
        "table edgar.curated.examples_rejected declares what the delta engine delta-rs cannot "
        "honour" in world.refused()
    )


def test_a_rule_that_is_declared_while_rows_are_staged_is_not_overlooked(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner adds a constraint between the check of the rows and the commit."""
    world = World(spark, tmp_path)
    real = row_rules.require_held

    def then_declared(frame: Any, place: Any, rules: Any) -> None:
        real(frame, place, rules)
        if (
            place.name.name == "examples"
            and DeltaTable(str(world.tables["examples_rejected"])).version() == 1
        ):
            DeltaTable(str(world.tables["examples"])).alter.add_constraint({"old": "year < 2000"})

    monkeypatch.setattr(row_rules, "require_held", then_declared)
    with pytest.raises(
        Conflict,
        match=r"the rules of table edgar\.curated\.examples changed while rows were prepared "
        "for it",
    ):
        world.run()
    assert world.rows() == []
