"""Examples of an earlier execution are used again only where this job would have made the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable, write_deltalake

from steps.governance.documents.manifest import Prepared
from steps.governance.documents.reading import Build
from steps.governance.errors import (
    AccessDenied,
    GovernanceError,
    IntegrityError,
    NotFound,
    UsageError,
)
from steps.governance.names import UcName
from steps.prepare import bounds, task_mix
from steps.prepare.reuse import reusing
from steps.train.data import verified_table
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.deletion_vector import inline_vector
from tests.steps.prepare.support.world import World, tree

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

FIRST, SECOND, THIRD = "abcdefghijkl", "bbbbbbbbbbbb", "cccccccccccc"


def uri(identifier: str) -> str:
    return f"s3://evidence/executions/{identifier}/prepare/manifest.json"


class Reusing:
    """A world whose first execution has prepared, and the second uses its examples again."""

    def __init__(self, spark: "SparkSession", root: Path) -> None:
        self.world = World(spark, root)
        self.first = self.world.run()
        self.build = self.first.build or Build(clean=False, lock_sha256="0" * 64)

    def run(self, identifier: str = SECOND, **changes: Any) -> Prepared:
        own = {"execution_arn": fakes.execution_arn(identifier), "manifest_uri": uri(identifier)}
        arguments = fakes.arguments(self.world.root, **{"curated_from": FIRST, **own, **changes})
        return reusing.run(
            arguments,
            self.world.catalog,  # type: ignore[arg-type]
            self.world.evidence,  # type: ignore[arg-type]
            self.build,
        )

    def change(self, **fields: Any) -> None:
        """Store another manifest of the first execution, as nobody may."""
        other = self.first.model_copy(update=fields)
        self.world.evidence.documents[uri(FIRST)] = other.to_bytes()


@pytest.fixture
def reusing_world(spark: "SparkSession", tmp_path: Path) -> Reusing:
    return Reusing(spark, tmp_path)


def test_the_manifest_has_the_earlier_examples_and_this_job_s_rights(
    reusing_world: Reusing,
) -> None:
    first, before = reusing_world.first, tree(reusing_world.world.root)
    made = reusing_world.run()
    assert made.reused is not None
    assert made.reused.execution_arn == first.execution_arn == made.written_by
    assert made.reused.manifest_sha256 == first.sha256
    assert made.execution_arn == fakes.execution_arn(SECOND)
    own = {"execution_arn", "principal", "reading", "build", "reused"}
    assert made.model_dump(exclude=own) == first.model_dump(exclude=own)
    assert made.reading is not None
    assert (made.reading.table, made.reading.credential.operation) == ("edgar.raw.filings", "READ")
    documents = reusing_world.world.evidence.documents
    assert Prepared.from_bytes(documents[uri(SECOND)], origin="here") == made
    assert made.membership is not None
    folder = uri(SECOND).rpartition("/")[0]
    assert f"{folder}/{made.membership.path}" in documents
    assert tree(reusing_world.world.root) == before, "a table was written to"


def test_train_reads_the_earlier_rows_by_the_new_manifest(reusing_world: Reusing) -> None:
    made = reusing_world.run()
    table = reusing_world.world.catalog.table(UcName.parse("edgar.curated.examples"))
    access = reusing_world.world.catalog.read_access(table)
    arn = fakes.execution_arn(SECOND)
    rows = sum(b.num_rows for b in verified_table.stream(made, table, access, execution_arn=arn))
    assert rows == made.counts.examples_train + made.counts.examples_eval
    with pytest.raises(IntegrityError, match="of another execution"):
        verified_table.check_manifest(made, table, execution_arn=fakes.execution_arn(THIRD))


def test_train_refuses_a_reuse_of_an_execution_that_did_not_commit(
    reusing_world: Reusing,
) -> None:
    made = reusing_world.run()
    assert made.reused is not None
    forged = made.model_copy(
        update={
            "reused": made.reused.model_copy(update={"execution_arn": fakes.execution_arn(THIRD)}),
            "target": made.target.model_copy(update={"partition": f"execution_id={THIRD}"}),
            "files": [],
        }
    )
    table = reusing_world.world.catalog.table(UcName.parse("edgar.curated.examples"))
    access = reusing_world.world.catalog.read_access(table)
    with pytest.raises(IntegrityError, match="committed by another execution"):
        verified_table.stream(forged, table, access, execution_arn=made.execution_arn)


def test_a_second_attempt_keeps_the_first_one_s_manifest(reusing_world: Reusing) -> None:
    assert reusing_world.run() == reusing_world.run()


OTHER_WORK: dict[str, Any] = {
    "curated_table": UcName.parse("other.curated.examples"),
    "eval_fraction": 0.5,
    "seed": 18,
    "split": bounds.SplitRule("family"),
    "scrub": ("email",),
    "quality": bounds.Quality(longest_heading=1.0),
    "contract": bounds.Bounds(),
    "sources": ("edgar.raw.*",),
    "tasks": task_mix.Mix(((task_mix.HEADING, 0.5), (task_mix.AMONG_FOUR, 0.5))),
    "raw_version": 0,
}


@pytest.mark.parametrize("name", sorted(OTHER_WORK))
def test_other_work_is_refused_by_name(reusing_world: Reusing, name: str) -> None:
    with pytest.raises(GovernanceError, match="would make other examples") as refused:
        reusing_world.run(**{name: OTHER_WORK[name]})
    assert name.replace("raw_version", "raw version") in str(refused.value)
    assert f"--from {FIRST}" in str(refused.value)
    assert uri(SECOND) not in reusing_world.world.evidence.documents


@pytest.mark.parametrize(
    "other", [{"lock_sha256": "1" * 64}, {"git_commit": "1" * 40}, {"clean": None}]
)
def test_other_code_is_refused(reusing_world: Reusing, other: dict[str, Any]) -> None:
    change = {"clean": not reusing_world.build.clean} if "clean" in other else other
    reusing_world.build = reusing_world.build.model_copy(update=change)
    with pytest.raises(GovernanceError, match="Prepare's code has changed since: ") as refused:
        reusing_world.run()
    assert "repeat the parameters" not in str(refused.value)


def test_another_corpus_is_refused(reusing_world: Reusing) -> None:
    reusing_world.world.catalog.add("edgar.raw.others", reusing_world.world.raw)
    with pytest.raises(GovernanceError, match="raw_table"):
        reusing_world.run(raw_table=UcName.parse("edgar.raw.others"))


def test_an_execution_whose_data_was_rejected_has_nothing_to_use(reusing_world: Reusing) -> None:
    del reusing_world.world.evidence.documents[uri(FIRST)]
    with pytest.raises(NotFound, match="has no examples to use again"):
        reusing_world.run()


def test_the_execution_itself_and_a_reuse_of_a_reuse_are_refused(reusing_world: Reusing) -> None:
    with pytest.raises(UsageError, match="another execution of this pipeline"):
        reusing_world.run(FIRST, curated_from=FIRST)
    reusing_world.run()
    with pytest.raises(UsageError, match=f"CuratedFrom={FIRST}"):
        reusing_world.run(THIRD, curated_from=SECOND)


FORGED: dict[str, Callable[[Prepared], dict[str, Any]]] = {
    "execution": lambda _: {"execution_arn": fakes.execution_arn(THIRD)},
    "partition": lambda m: {"target": m.target.model_copy(update={"partition": "execution_id=x"})},
    "files outside": lambda m: {"files": [m.files[0].model_copy(update={"path": "a.parquet"})]},
    "raw version": lambda m: {"source": m.source.model_copy(update={"version": 0})},
    "version 1 of": lambda m: {"target": m.target.model_copy(update={"version": 1})},
    "is not the one of": lambda m: {"target": m.target.model_copy(update={"table_id": "other"})},
    ": files": lambda m: {"files": m.files[:-1] if len(m.files) > 1 else []},
    "unknown": lambda _: {"settings": None},
    "list of filings": lambda m: {
        "membership": m.membership and m.membership.model_copy(update={"size": 1})
    },
}


@pytest.mark.parametrize("what", sorted(FORGED))
def test_a_forged_manifest_is_refused(reusing_world: Reusing, what: str) -> None:
    reusing_world.change(**FORGED[what](reusing_world.first))
    with pytest.raises(GovernanceError, match=what) as refused:
        reusing_world.run()
    assert "do " in str(refused.value)
    assert uri(SECOND) not in reusing_world.world.evidence.documents


def test_a_manifest_that_is_not_canonical_is_refused(reusing_world: Reusing) -> None:
    documents = reusing_world.world.evidence.documents
    documents[uri(FIRST)] = json.dumps(json.loads(documents[uri(FIRST)]), indent=1).encode()
    with pytest.raises(IntegrityError, match="canonical bytes"):
        reusing_world.run()


def _vacuumed(root: Path) -> None:
    next(root.rglob("*.parquet")).unlink()


def _log_removed(root: Path) -> None:
    shutil.rmtree(root / "_delta_log")


def _rows_deleted(root: Path) -> None:
    table = DeltaTable(str(root))
    names = [field.name for field in table.schema().fields]
    table.delete("split = 'eval'" if "split" in names else "cik = '1001'")


def _vector(root: Path) -> None:
    """Hide the first row of one file by a deletion vector in the log: same path, same size."""
    table = DeltaTable(str(root))
    entries = sorted((root / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for entry in entries for line in entry.read_text().splitlines()]
    added = next(each["add"] for each in reversed(actions) if "add" in each)
    features = sorted({*(table.protocol().reader_features or ()), "deletionVectors"})
    writer = sorted({*(table.protocol().writer_features or ()), "deletionVectors"})
    upgraded = {"minReaderVersion": 3, "minWriterVersion": 7}
    upgraded |= {"readerFeatures": features, "writerFeatures": writer}
    removed = {"path": added["path"], "deletionTimestamp": 1, "dataChange": True}
    lines = [
        {"protocol": upgraded},
        {"remove": removed},
        {"add": added | {"deletionVector": inline_vector([0])}},
    ]
    entry = root / "_delta_log" / f"{table.version() + 1:020}.json"
    entry.write_text("\n".join(map(json.dumps, lines)))


def _overwritten(root: Path) -> None:
    write_deltalake(str(root), DeltaTable(str(root)).to_pyarrow_table(), mode="overwrite")


@pytest.mark.parametrize(
    ("table", "spoiled"),
    [
        ("curated", _vacuumed),
        ("curated", _log_removed),
        ("curated", _rows_deleted),
        ("curated", _overwritten),
        ("curated", _vector),
        ("raw", _vacuumed),
        ("raw", _log_removed),
        ("raw", _rows_deleted),
        ("raw", _overwritten),
        ("raw", _vector),
    ],
)
def test_data_that_was_removed_since_is_refused(
    reusing_world: Reusing, table: str, spoiled: Callable[[Path], None]
) -> None:
    world = reusing_world.world
    spoiled(world.curated if table == "curated" else world.raw)
    with pytest.raises(GovernanceError, match=r"not whole any more|deleted from") as refused:
        reusing_world.run()
    assert "without CuratedFrom" in str(refused.value)


@pytest.mark.parametrize("right", ["read edgar.raw.filings", "read edgar.curated.examples"])
def test_a_right_that_was_taken_away_is_refused(reusing_world: Reusing, right: str) -> None:
    reusing_world.world.catalog.refused.add(right)
    with pytest.raises(AccessDenied, match="EXTERNAL USE SCHEMA"):
        reusing_world.run()


def test_a_source_that_is_no_longer_allowed_is_refused(reusing_world: Reusing) -> None:
    with pytest.raises(GovernanceError, match="not an allowed source"):
        reusing_world.run(sources=("other.raw.*",))


def test_a_newer_raw_version_is_a_warning(
    reusing_world: Reusing, caplog: pytest.LogCaptureFixture
) -> None:
    fakes.raw_table(reusing_world.world.raw, [fakes.filing(1009, 2023)], files=1)
    made = reusing_world.run()
    assert made.source.version == reusing_world.first.source.version
    assert "has version 2 by now; these examples are of version 1" in caplog.text
