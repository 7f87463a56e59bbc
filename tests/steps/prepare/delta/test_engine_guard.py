"""What Sail does without an error, and what stops it: no value is cast on its way to a table."""

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.names import UcName
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.prepare import arrow_tasks
from steps.prepare.arrow_tasks import exactly, map_in_arrow
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.staging.tasks import selected
from steps.prepare.delta.store import Content, Place, Provenance
from steps.prepare.delta.unity_connector import ConnectorStore
from steps.prepare.schemas import EXAMPLES
from steps.prepare.session import translated
from tests.steps.prepare.support import fakes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

STEPS = Path(arrow_tasks.__file__).parents[1]
DECLARED = pa.schema([("year", pa.int32())])
# What a task may yield by mistake for `year int`, and what Sail makes of it.
CAST = {
    "a wider number": (pa.array([5_000_000_000]), None),
    "a number that would fit": (pa.array([2021]), 2021),
    "text": (pa.array(["abc"]), None),
    "text of digits": (pa.array(["2021"]), 2021),
    "a fraction": (pa.array([2021.5]), 2021),
}


def place(location: Path) -> Place:
    now = utc_now()
    access = Access(
        str(location), lambda: Credential("AKID", "secret", "token", now, now + timedelta(hours=1))
    )
    return Place(UcName.parse("edgar.curated.examples"), str(location), access, None)


def content(rows: int) -> Content:
    made = Provenance(fakes.execution_arn(), "edgar.raw.filings", 0, "a" * 64, "t/1")
    return Content(EXAMPLES, rows, made)


def frame(spark: "SparkSession", year: object, kind: str) -> "DataFrame":
    """One row for the curated table, whose year has another type."""
    row = dict.fromkeys(EXAMPLES.names, "x") | {"execution_id": "abcdefghijkl", "year": year}
    return spark.createDataFrame([row], EXAMPLES.ddl.replace("year int", f"year {kind}"))


def yields(batch: pa.RecordBatch) -> arrow_tasks.Task:
    return lambda batches: (batch for _ in batches)


def refused(made: "DataFrame") -> str:
    with pytest.raises(GovernanceError) as found, translated("read"):
        made.collect()
    return str(found.value)


@pytest.mark.parametrize("case", CAST)
def test_sail_itself_casts_what_a_task_yields(spark: "SparkSession", case: str) -> None:
    """This is why `map_in_arrow` compares. If this test fails, the guard may become simpler."""
    array, stored = CAST[case]
    task = yields(pa.record_batch([array], names=["year"]))
    rows = spark.range(0, 1, 1, 1).mapInArrow(task, "year int").collect()
    assert [row["year"] for row in rows] == [stored]


@pytest.mark.parametrize("case", CAST)
def test_a_task_s_batch_of_another_type_is_refused(spark: "SparkSession", case: str) -> None:
    array, _ = CAST[case]
    task = yields(pa.record_batch([array], names=["year"]))
    text = refused(map_in_arrow(spark.range(0, 1, 1, 1), task, DECLARED))
    assert f"other columns than were declared, no row of it was used: got year {array.type}" in text


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["a", "b"], 2),
        (["year", "other"], 2),
        (["other"], 1),
        ([], 0),
    ],
)
def test_a_batch_with_other_columns_is_refused(names: list[str], columns: int) -> None:
    batch = pa.record_batch([pa.array([1], pa.int32())] * columns, names=names)
    with pytest.raises(IntegrityError, match="other columns than were declared"):
        exactly(batch, DECLARED)


def test_text_may_have_any_form_and_bytes_are_not_text() -> None:
    text = pa.schema([("detail", pa.string())])
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert exactly(pa.record_batch([pa.array(["x"], kind)], ["detail"]), text).schema == text
    with pytest.raises(IntegrityError):
        exactly(pa.record_batch([pa.array([b"\xff"])], ["detail"]), text)


def test_a_kernel_s_column_of_another_type_has_no_declaration() -> None:
    """`string` was declared for everything but INT, and an engine would have cast it."""
    schema = selected(pa.schema([("share", pa.float64())]), ["share"])
    with pytest.raises(IntegrityError, match="no Spark type is declared for the column share"):
        arrow_tasks.struct(schema)


@pytest.mark.parametrize(
    ("year", "kind"),
    [(5_000_000_000, "bigint"), ("abc", "string"), ("2021", "string"), (2021.5, "double")],
)
@pytest.mark.parametrize("engine", [DeltaRsStore, ConnectorStore])
def test_rows_of_another_type_are_refused_before_anything_is_written(
    spark: "SparkSession", tmp_path: Path, year: object, kind: str, engine: Any
) -> None:
    with pytest.raises(IntegrityError) as found:
        engine(spark).check_rows(frame(spark, year, kind), place(tmp_path), EXAMPLES)
    assert f"got       year {kind}" in str(found.value)
    assert list(tmp_path.iterdir()) == []


def test_an_append_looks_at_the_types_itself(spark: "SparkSession", tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="other types than its columns, none was written"):
        DeltaRsStore(spark).append(frame(spark, "abc", "string"), place(tmp_path), content(1))
    assert not DeltaTable.is_deltatable(str(tmp_path))


def test_a_union_that_calls_text_a_number_is_refused_by_the_writer(
    spark: "SparkSession", tmp_path: Path
) -> None:
    """Sail declares `year int` for such a union; its batches have text."""
    united = frame(spark, 2021, "int").unionByName(frame(spark, "abc", "string"))
    assert dict(united.dtypes)["year"] == "int"
    with pytest.raises(GovernanceError, match="other columns than were declared"):
        DeltaRsStore(spark).append(united, place(tmp_path), content(2))
    assert not DeltaTable.is_deltatable(str(tmp_path))


def test_the_connector_fails_on_sail_whose_empty_append_is_no_commit(
    spark: "SparkSession", tmp_path: Path
) -> None:
    empty = frame(spark, 2021, "int").where("year = 0")
    with pytest.raises(GovernanceError, match="Spark failed to commit to table"):
        ConnectorStore(spark).append(empty, place(tmp_path / "t"), content(0))


def test_every_task_is_compared_and_no_engine_s_own_writer_is_used() -> None:
    """Spark's writer is used by the connector alone, for a Spark with real Delta."""
    wanted = {
        r"\.mapInArrow\(": {"prepare/arrow_tasks.py"},
        r"\.(write\.|writeTo\(|insertInto\(|saveAsTable\()": {"prepare/delta/unity_connector.py"},
    }
    for call, files in wanted.items():
        found = {
            path.relative_to(STEPS).as_posix()
            for path in STEPS.rglob("*.py")
            if re.search(call, path.read_text(encoding="utf-8"))
        }
        assert found == files
