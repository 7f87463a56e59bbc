"""The delta-rs adapter: its commits, the tables it refuses, and keys that do not appear."""

import contextlib
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from steps.governance.errors import AccessDenied, GovernanceError, IntegrityError
from steps.governance.names import UcName
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.prepare.delta import commits, unity_connector
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.features import FROM_FILES, NOT_BY_SCAN
from steps.prepare.delta.store import Content, Place, Provenance
from steps.prepare.schemas import REJECTED
from steps.prepare.session import reason
from tests.steps.prepare.support import fakes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

SECRET = "canary-of-a-vended-secret"


def place(location: Path) -> Place:
    now = utc_now()
    access = Access(
        str(location), lambda: Credential("AKID", SECRET, "token", now, now + timedelta(hours=1))
    )
    return Place(UcName.parse("edgar.curated.examples_rejected"), str(location), access, None)


def content(rows: int, sha256: str = "a" * 64) -> Content:
    made = Provenance(
        fakes.execution_arn(), "edgar.raw.filings", 0, sha256, "risk-factor-heading/1"
    )
    return Content(REJECTED, rows, made)


def frame(spark: "SparkSession", rows: int) -> "DataFrame":
    row = dict.fromkeys(REJECTED.names, "x") | {"execution_id": "abcdefghijkl"}
    return spark.createDataFrame(
        [row | {"detail": str(number)} for number in range(rows)], REJECTED.ddl
    )


def plain_table(
    location: Path, features: list[str], *, configuration: dict[str, str] | None = None
) -> None:
    """Write a one-file table whose protocol requires these reader features."""
    (location / "_delta_log").mkdir(parents=True)
    pq.write_table(pa.table({"a": ["x", "y"]}), location / "part.parquet")
    field = {"name": "a", "type": "string", "nullable": True, "metadata": {}}
    actions = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features,
                      "writerFeatures": features}},
        {"metaData": {"id": "1", "format": {"provider": "parquet", "options": {}},
                      "partitionColumns": [], "createdTime": 1,
                      "schemaString": json.dumps({"type": "struct", "fields": [field]}),
                      "configuration": configuration or {}}},
        {"add": {"path": "part.parquet", "partitionValues": {},
                 "size": (location / "part.parquet").stat().st_size,
                 "modificationTime": 1, "dataChange": True,
                 "stats": json.dumps({"numRecords": 2})}},
    ]  # fmt: skip
    (location / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)))


def test_a_commit_is_refused_on_a_log_that_went_on(spark: "SparkSession", tmp_path: Path) -> None:
    target, wanted = place(tmp_path), content(3)
    files = DeltaRsStore(spark)._stage(frame(spark, 3), target, wanted)
    commits.commit_once(target, None, content(0), [])
    stale = commits.existing(target)
    other = Provenance(fakes.execution_arn("bbbbbbbbbbbb"), "edgar.raw.filings", 0, "b" * 64, "t")
    commits.commit_once(target, stale, Content(REJECTED, 0, other), [])
    with pytest.raises(commits.CommitFailedError):
        commits.commit_once(target, stale, wanted, files)
    assert DeltaTable(str(tmp_path)).version() == 1


def test_a_commit_that_delta_rs_refuses_though_nobody_was_faster_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[DeltaTable | None] = []

    def refused(_: Place, table: DeltaTable | None, *__: object) -> None:
        tried.append(table)
        raise commits.CommitFailedError("a rule of a later Delta")

    monkeypatch.setattr(commits, "commit_once", refused)
    with pytest.raises(GovernanceError) as failed:
        commits.commit(place(tmp_path), content(0), [])
    assert "delta-rs refused the commit to table edgar.curated.examples_rejected" in str(
        failed.value
    )
    assert "got       a rule of a later Delta" in str(failed.value)
    plain_table(tmp_path, [])
    with pytest.raises(GovernanceError, match="a rule of a later Delta"):
        commits.commit(place(tmp_path), content(0), [])
    assert len(tried) == 2


def test_a_commit_that_others_overtake_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real, others = (
        place(tmp_path),
        commits.commit_once,
        iter(("bbbbbbbbbbbb", "cccccccccccc")),
    )

    def overtaken(*arguments: Any) -> None:
        if (other := next(others, None)) is not None:
            by = Provenance(fakes.execution_arn(other), "edgar.raw.filings", 0, "b" * 64, "t")
            real(target, commits.existing(target), Content(REJECTED, 0, by), [])
        real(*arguments)

    monkeypatch.setattr(commits, "commit_once", overtaken)
    assert commits.commit(target, content(0), []).version == 2


def test_delta_rs_itself_accepts_a_replayed_transaction(tmp_path: Path) -> None:
    """This is why the loop looks first. If this test fails, the loop may become simpler."""
    properties = CommitProperties(app_transactions=[Transaction("execution", 1)])
    for _ in range(2):
        write_deltalake(
            str(tmp_path), pa.table({"a": ["x"]}), mode="append", commit_properties=properties
        )
    assert DeltaTable(str(tmp_path)).to_pyarrow_table().num_rows == 2


def test_delta_rs_s_history_misnumbers_commits_behind_an_open_table(tmp_path: Path) -> None:
    """This is why the log itself is read. If this test fails, `history()` may be used again."""
    write_deltalake(str(tmp_path), pa.table({"a": ["x"]}))
    opened = DeltaTable(str(tmp_path))
    write_deltalake(str(tmp_path), pa.table({"a": ["y"]}), mode="append")
    assert [entry["version"] for entry in opened.history()] == [0, -1]


def test_an_empty_content_is_a_commit_without_files(spark: "SparkSession", tmp_path: Path) -> None:
    store, target = DeltaRsStore(spark), place(tmp_path)
    first = store.append(frame(spark, 1).where("detail = 'none'"), target, content(0))
    assert (first.version, first.files) == (0, ())
    assert store.append(frame(spark, 1).where("detail = 'none'"), target, content(0)) == first


def test_more_rows_than_counted_are_not_committed(spark: "SparkSession", tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="lost or doubled"):
        DeltaRsStore(spark).append(frame(spark, 3), place(tmp_path), content(2))
    assert not DeltaTable.is_deltatable(str(tmp_path))


@pytest.mark.parametrize("feature", ["catalogManaged", "somethingNew"])
def test_a_table_with_a_feature_we_do_not_honour_is_refused(
    spark: "SparkSession", tmp_path: Path, feature: str
) -> None:
    plain_table(tmp_path / "t", [feature])
    with pytest.raises(GovernanceError) as refused:
        DeltaRsStore(spark).read(place(tmp_path / "t"), 0, ["a"])
    # delta-rs itself refuses a catalog-managed table.
    expected = {"catalogManaged": "catalog-managed table"}.get(feature, feature)
    assert expected in str(refused.value)


@pytest.mark.parametrize("feature", sorted(FROM_FILES))
def test_a_table_with_a_feature_that_does_not_touch_our_columns_is_read(
    spark: "SparkSession", tmp_path: Path, feature: str
) -> None:
    plain_table(tmp_path / "t", [feature])
    store, there = DeltaRsStore(spark), place(tmp_path / "t")
    assert store.resolve_version(there, -1) == 0
    assert sorted(row["a"] for row in store.read(there, 0, ["a"]).collect()) == ["x", "y"]


@pytest.mark.parametrize("feature", sorted(NOT_BY_SCAN))
def test_a_feature_that_delta_rs_cannot_scan_is_refused_where_a_scan_is_needed(
    spark: "SparkSession", tmp_path: Path, feature: str
) -> None:
    plain_table(tmp_path / "t", [feature, "deletionVectors"])
    with pytest.raises(
        GovernanceError, match="uses Delta features that the delta engine delta-rs does not read"
    ) as refused:
        DeltaRsStore(spark).resolve_version(place(tmp_path / "t"), -1)
    assert f"got       {feature}\n" in str(refused.value)


def test_deleted_rows_stay_deleted(spark: "SparkSession", tmp_path: Path) -> None:
    """A deletion vector hides rows that the file still contains."""
    from tests.steps.prepare.support.deletion_vector import inline_vector

    plain_table(
        tmp_path / "t", ["deletionVectors"], configuration={"delta.enableDeletionVectors": "true"}
    )
    log = tmp_path / "t" / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    actions[2]["add"]["deletionVector"] = inline_vector([0])
    log.write_text("\n".join(map(json.dumps, actions)))
    store = DeltaRsStore(spark)
    assert [row["a"] for row in store.read(place(tmp_path / "t"), 0, ["a"]).collect()] == ["y"]
    assert store.rows(place(tmp_path / "t"), 0) is None


def test_a_column_that_older_files_lack_is_null_in_their_rows(
    spark: "SparkSession", tmp_path: Path
) -> None:
    write_deltalake(str(tmp_path), pa.table({"a": ["old", "older"]}))
    write_deltalake(
        str(tmp_path), pa.table({"a": ["new"], "b": ["x"]}), mode="append", schema_mode="merge"
    )
    store = DeltaRsStore(spark)
    assert store.columns(place(tmp_path), 1) == {"a": "string", "b": "string"}
    both = store.read(place(tmp_path), 1, ["b", "a"]).collect()
    assert sorted((row["a"], row["b"]) for row in both) == [
        ("new", "x"),
        ("old", None),
        ("older", None),
    ]
    alone = store.read(place(tmp_path), 1, ["b"]).collect()
    assert sorted(str(row["b"]) for row in alone) == ["None", "None", "x"]


def test_vended_keys_stand_in_no_plan_and_no_setting(spark: "SparkSession", tmp_path: Path) -> None:
    fakes.raw_table(tmp_path, fakes.corpus())
    rows = DeltaRsStore(spark).read(place(tmp_path), 0, ["cik"])
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        rows.explain(extended=True)
    settings = json.dumps(spark.sql("SET").collect()) if _has_set(spark) else ""
    assert "MapPartitions" in shown.getvalue()
    assert SECRET not in shown.getvalue() + settings


def _has_set(spark: "SparkSession") -> bool:
    try:
        spark.sql("SET").collect()
    except Exception:  # noqa: BLE001 - Sail may not know the statement
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        (
            "Generic S3 error: Server returned non-2xx status code: 403 Forbidden: "
            "<Code>AccessDenied</Code>"
        ),
        "Generic S3 error: error sending request, status: 401",
        "Generic S3 error: <Code>ExpiredToken</Code>",
    ],
)
def test_a_storage_refusal_names_table_and_deed(text: str) -> None:
    with (
        pytest.raises(AccessDenied, match="the storage refused: read the log of table x"),
        commits.storage("read the log of table x"),
    ):
        raise OSError(f"{text}\nmore")


def test_a_file_whose_name_holds_403_is_no_refusal() -> None:
    name = f"part-{'0403' * 16}.parquet"
    with (
        pytest.raises(GovernanceError, match="the storage gave no answer: read table x") as failed,
        commits.storage("read table x"),
    ):
        raise OSError(
            f"Generic S3 error: Error performing GET {name}, status code: 500 Internal Server Error"
        )
    assert not isinstance(failed.value, AccessDenied)


def test_the_connector_fails_at_once_on_an_engine_without_real_delta(
    spark: "SparkSession", tmp_path: Path
) -> None:
    with pytest.raises(GovernanceError, match="Spark failed to read the log of table"):
        unity_connector.ConnectorStore(spark).resolve_version(place(tmp_path), -1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "job failed\nTraceback\n  File x\nValueError: bad bytes\n  while reading",
            "ValueError: bad bytes",
        ),
        (
            "[TABLE_NOT_FOUND] no such table\n\nJVM stacktrace:\norg.apache.Error: x",
            "[TABLE_NOT_FOUND] no such table",
        ),
        (
            "[CAST_INVALID_INPUT] The value 'we depend on' of the type \"STRING\" cannot be cast",
            "[CAST_INVALID_INPUT] The value '…' of the type \"STRING\" cannot be cast",
        ),
        ("", "no message"),
    ],
)
def test_an_engine_s_message_becomes_its_one_telling_line(text: str, expected: str) -> None:
    assert reason(text) == expected
