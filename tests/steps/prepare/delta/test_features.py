"""`features` lists exactly the Delta features with which the locked delta-rs commits."""

from pathlib import Path

import pytest
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError

from steps.prepare.delta.features import (
    BY_SCAN,
    DELTA_RS_APPENDS,
    FROM_FILES,
    LEGACY_IDENTITY_WRITER,
    SPARK_APPENDS,
)
from steps.prepare.schemas import REJECTED
from tests.steps.prepare.support import made_before

READER = BY_SCAN | FROM_FILES
OTHERS = {
    "coordinatedCommits-preview",
    "icebergCompatV3",
    "materializePartitionColumns",
    "collations-preview",
    "aFeatureOf2030",
}


def append(location: Path) -> None:
    """One empty append, as `commits.commit_once` makes it."""
    columns, once = Schema.from_json(REJECTED.delta_json), CommitProperties(max_commit_retries=0)
    DeltaTable(str(location)).create_write_transaction(
        [], "append", columns, ["execution_id"], commit_properties=once
    )


@pytest.mark.parametrize("feature", sorted(DELTA_RS_APPENDS))
def test_delta_rs_appends_with_each_feature_of_its_list(tmp_path: Path, feature: str) -> None:
    made_before.table(
        tmp_path / "t",
        REJECTED,
        protocol=made_before.with_features(feature, reader=feature in READER),
    )
    append(tmp_path / "t")
    assert DeltaTable(str(tmp_path / "t")).version() == 1


@pytest.mark.parametrize(
    "feature", sorted((SPARK_APPENDS | FROM_FILES | OTHERS) - DELTA_RS_APPENDS)
)
def test_delta_rs_refuses_to_append_with_any_other(tmp_path: Path, feature: str) -> None:
    """If this fails for a feature, add it to the list, with a line in `declared_tables`."""
    made_before.table(
        tmp_path / "t",
        REJECTED,
        protocol=made_before.with_features(feature, reader=feature in READER),
    )
    with pytest.raises(CommitFailedError, match="Unsupported table features required"):
        append(tmp_path / "t")


@pytest.mark.parametrize("version", range(1, 7))
def test_of_the_writer_versions_only_that_of_identity_columns_is_refused(
    tmp_path: Path, version: int
) -> None:
    made_before.table(
        tmp_path / "t", REJECTED, protocol={"minReaderVersion": 1, "minWriterVersion": version}
    )
    if version == LEGACY_IDENTITY_WRITER:
        with pytest.raises(CommitFailedError):
            append(tmp_path / "t")
    else:
        append(tmp_path / "t")
