"""Train reads the examples that Prepare made for this execution, or refuses before training."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from steps.governance.documents.manifest import Prepared
from steps.governance.errors import AccessDenied, IntegrityError, NotFound, Unavailable
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.train.data import curated_rows, verified_table
from steps.train.data.table_errors import translated
from tests.steps.train.support.curated_table import (
    ARN,
    NAME,
    OTHER_ARN,
    TABLE_ID,
    LocalAccess,
    commit,
    prepared,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table with another execution's commit before ours (version 1) and one after it."""
    folder = tmp_path / "curated"
    commit(folder, OTHER_ARN)
    commit(folder, ARN)
    commit(folder, OTHER_ARN)
    return folder


def read(
    folder: Path, manifest: Prepared | None = None, *, table_id: str = TABLE_ID
) -> list[curated_rows.Example]:
    table = Table(UcName.parse(NAME), table_id, str(folder))
    batches = verified_table.stream(
        manifest or prepared(folder, ARN, 1), table, LocalAccess(), execution_arn=ARN
    )
    return [example for batch in batches for example in curated_rows.examples(batch)]


def test_only_this_executions_examples_are_read_despite_commits_before_and_after(
    folder: Path,
) -> None:
    examples = read(folder)
    assert Counter(example.split for example in examples) == {"train": 24, "eval": 6}
    held_out = next(example for example in examples if example.split == "eval")
    assert held_out.completion == "Our business could be harmed by competition."


def test_a_file_altered_in_place_is_refused_with_both_digests(folder: Path) -> None:
    manifest = prepared(folder, ARN, 1)
    path = folder / manifest.files[0].path
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as refused:
        read(folder, manifest)
    assert manifest.files[0].path in str(refused.value)
    assert manifest.files[0].sha256 in str(refused.value)
    assert "was altered after Prepare wrote it" in str(refused.value)


def test_a_missing_file_is_refused(folder: Path) -> None:
    manifest = prepared(folder, ARN, 1)
    (folder / manifest.files[0].path).unlink()
    with pytest.raises(
        IntegrityError, match=r"cannot read execution_id=abcdefghijkl/part-.*: the file is missing"
    ):
        read(folder, manifest)


def test_a_version_that_another_execution_committed_is_refused(folder: Path) -> None:
    with pytest.raises(
        IntegrityError,
        match=f"committed by another execution\n  expected  {ARN}\n  got       {OTHER_ARN}",
    ):
        read(folder, prepared(folder, ARN, 2))


def test_the_commit_is_read_from_its_own_log_entry_because_history_mislabels_it(
    folder: Path,
) -> None:
    """delta-rs 1.6 labels the newest commits with an older version's number.

    When this test fails, delta-rs was repaired.
    """
    mislabelled = DeltaTable(str(folder), version=1).history(1)[0]
    assert (mislabelled["version"], mislabelled["execution_arn"]) == (1, OTHER_ARN)


def test_commit_metadata_in_sparks_form_is_read(folder: Path) -> None:
    entry = folder / "_delta_log" / f"{1:020d}.json"
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            del action["commitInfo"]["execution_arn"]
            action["commitInfo"]["userMetadata"] = json.dumps({"execution_arn": ARN})
    entry.write_text("\n".join(map(json.dumps, actions)))
    assert len(read(folder)) == 30


def test_files_that_another_commit_added_to_our_partition_are_refused(folder: Path) -> None:
    manifest = prepared(folder, ARN, 1)
    commit(folder, ARN)
    later = manifest.model_copy(
        update={"target": manifest.target.model_copy(update={"version": 3})}
    )
    with pytest.raises(
        IntegrityError,
        match=r"are not those Prepare wrote\n.*\n  got       2 files; missing \[\], added \['exec",
    ):
        read(folder, later)


def test_files_that_were_removed_from_the_version_are_refused(folder: Path) -> None:
    manifest = prepared(folder, ARN, 1)
    extra = manifest.files[0].model_copy(update={"path": manifest.files[0].path + ".more"})
    with pytest.raises(IntegrityError, match=r"missing \['execution_id=abcdefghijkl/.*\.more'\]"):
        read(folder, manifest.model_copy(update={"files": [*manifest.files, extra]}))


def changed(**fields: Any) -> Callable[[Prepared], Prepared]:
    def change(manifest: Prepared) -> Prepared:
        target = {
            name: value
            for name, value in fields.items()
            if name in type(manifest.target).model_fields
        }
        counts = {
            name: value
            for name, value in fields.items()
            if name in type(manifest.counts).model_fields
        }
        return manifest.model_copy(
            update={
                **{name: value for name, value in fields.items() if name in Prepared.model_fields},
                "target": manifest.target.model_copy(update=target),
                "counts": manifest.counts.model_copy(update=counts),
            }
        )

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(execution_arn=OTHER_ARN), "manifest is of another execution"),
        (changed(table="edgar.curated.other"), "manifest is of another table"),
        (changed(table_id="another"), "was replaced after Prepare wrote to it"),
        (changed(location="/elsewhere"), "was moved after Prepare wrote to it"),
        (changed(partition="execution_id=zzzzzzzzzzzz"), "names another partition"),
        (changed(examples_train=23), "not those Prepare counted"),
    ],
)
def test_a_manifest_of_another_execution_or_table_is_refused(
    folder: Path, change: Callable[[Prepared], Prepared], message: str
) -> None:
    with pytest.raises(IntegrityError, match=message):
        read(folder, change(prepared(folder, ARN, 1)))


def test_a_manifest_with_files_outside_its_partition_is_refused(folder: Path) -> None:
    manifest = prepared(folder, ARN, 1)
    stray = manifest.files[0].model_copy(update={"path": "../secret.parquet"})
    with pytest.raises(IntegrityError, match="outside its partition"):
        read(folder, manifest.model_copy(update={"files": [stray]}))


def test_a_file_with_another_number_of_rows_is_refused(folder: Path) -> None:
    manifest = prepared(folder, ARN, 1)
    with pytest.raises(IntegrityError, match="another number of rows"):
        read(
            folder,
            manifest.model_copy(
                update={"files": [manifest.files[0].model_copy(update={"rows": 31})]}
            ),
        )


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (
            OSError("Generic S3 error: Client error with status 403 Forbidden: AccessDenied"),
            AccessDenied,
        ),
        (PermissionError("permission denied"), AccessDenied),
        (OSError("error sending request: connection refused"), Unavailable),
        (FileNotFoundError("Object not found"), IntegrityError),
    ],
)
def test_storage_answers_become_our_errors(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected, match="read x"), translated("read x"):
        raise raised


def test_a_location_without_a_table_is_not_found(tmp_path: Path) -> None:
    with (
        pytest.raises(NotFound, match="cannot open: the location holds no Delta table"),
        translated("open"),
    ):
        DeltaTable(str(tmp_path / "none"))
