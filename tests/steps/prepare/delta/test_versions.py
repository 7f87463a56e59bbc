"""The version of a raw table is checked before Spark reads: number, log entries and files."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from steps.governance import checkpoint_hint
from steps.governance.errors import GovernanceError, NotFound
from steps.governance.names import UcName
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.prepare.delta import tables
from steps.prepare.delta.data_files import file_system
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.store import Place
from steps.prepare.schemas import EXAMPLES
from tests.steps.prepare.support import made_before

STORE = DeltaRsStore(cast("Any", None))


def place(location: Path) -> Place:
    now = utc_now()
    access = Access(
        str(location), lambda: Credential("key", "secret", "token", now, now + timedelta(hours=1))
    )
    return Place(UcName.parse("edgar.raw.filings"), str(location), access, None)


def written(
    location: Path, versions: int = 6, *, mode: str = "append", checkpoint: int | None = None
) -> Path:
    for version in range(versions):
        rows = pa.table({"cik": [str(version)]})
        write_deltalake(str(location), rows, mode=mode)  # type: ignore[call-overload]
        if version == checkpoint:
            DeltaTable(str(location)).create_checkpoint()
    return location


def test_a_version_above_the_newest_is_refused_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    real = tables.open_table

    def noted(location: str, options: Any, version: int | None) -> DeltaTable:
        asked.append(version)
        return real(location, options, version)

    monkeypatch.setattr(tables, "open_table", noted)
    table = place(written(tmp_path / "t", 2))
    for version in (2, 3, 2**63 - 1):
        with pytest.raises(
            NotFound, match=f"expected  Delta version {version}\n  got       versions up to 1"
        ):
            STORE.resolve_version(table, version)
    assert set(asked) == {None}
    assert [STORE.resolve_version(table, version) for version in (-1, 0, 1)] == [1, 0, 1]


def test_a_version_that_vacuum_emptied_is_refused_with_those_that_can_be_read(
    tmp_path: Path,
) -> None:
    location = written(tmp_path / "t", 4, mode="overwrite")
    for version in (0, 1):
        for path in tables.paths(DeltaTable(str(location), version=version)):
            (location / path).unlink()
    for version in (0, 1):
        with pytest.raises(NotFound) as refused:
            STORE.resolve_version(place(location), version)
        assert (
            f"version {version} of table edgar.raw.filings can no longer be read: its files "
            "were deleted (VACUUM)" in str(refused.value)
        )
        assert "versions 2 to 3 can be read" in str(refused.value)
    assert STORE.resolve_version(place(location), 2) == 2


def test_only_the_newest_version_may_be_left(tmp_path: Path) -> None:
    location = written(tmp_path / "t", 3, mode="overwrite")
    live = tables.paths(DeltaTable(str(location)))
    for path in location.glob("*.parquet"):
        if path.name not in live:
            path.unlink()
    with pytest.raises(NotFound, match="only version 2 can be read"):
        STORE.resolve_version(place(location), 0)
    assert STORE.resolve_version(place(location), -1) == 2


def test_files_that_the_newest_version_still_has_are_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = written(tmp_path / "t", 3)
    monkeypatch.setattr(
        "steps.prepare.delta.readable.data_files.file_system",
        lambda *_: pytest.fail("a file was looked for"),
    )
    assert [STORE.resolve_version(place(location), version) for version in (0, 1, 2)] == [0, 1, 2]


def test_a_restored_version_whose_files_vacuum_deleted_is_found_out_when_it_is_looked_for(
    tmp_path: Path,
) -> None:
    location = written(tmp_path / "t", 3, mode="overwrite")
    DeltaTable(str(location)).vacuum(
        retention_hours=0, enforce_retention_duration=False, dry_run=False
    )
    STORE.require_files(place(location), DeltaTable(str(location)).version())
    DeltaTable(str(location)).restore(0, ignore_missing_files=True)
    newest = DeltaTable(str(location)).version()
    with pytest.raises(
        NotFound, match=f"version {newest} of table edgar.raw.filings can no longer be read"
    ) as refused:
        STORE.require_files(place(location), newest)
    assert "expected  1 files\n  got       1 of them deleted, the first part-" in str(refused.value)


@pytest.mark.parametrize(
    ("protocol", "got"),
    [
        (made_before.with_features("futureReader", "other", reader=True), "futureReader"),
        ({"minReaderVersion": 4, "minWriterVersion": 8}, "reader version 4"),
    ],
)
def test_a_protocol_that_delta_rs_does_not_open_is_named_with_what_to_do(
    tmp_path: Path, protocol: dict[str, Any], got: str
) -> None:
    location = made_before.table(tmp_path / "t", EXAMPLES, protocol=protocol)
    for asked in (STORE.resolve_version, STORE.earlier):
        with pytest.raises(
            GovernanceError, match="features that the delta engine delta-rs does not read"
        ) as refused:
            asked(place(location), 0)  # type: ignore[operator]
        advice = "rewrite the table without them, or use the delta engine unity-connector"
        assert f"got       {got}\n  do        {advice}" in str(refused.value)
        assert "add its jars to the image" in str(refused.value)
        assert "table edgar.raw.filings" in str(refused.value)


@pytest.mark.parametrize("without", [3, 4])
def test_a_version_before_the_oldest_checkpoint_is_refused_with_those_that_can_be_read(
    tmp_path: Path, without: int
) -> None:
    location = written(tmp_path / "t", checkpoint=3)
    for version in range(without):
        (location / "_delta_log" / f"{version:020}.json").unlink()
    for version in (0, 2):
        with pytest.raises(NotFound, match="its log entries were deleted") as refused:
            STORE.resolve_version(place(location), version)
        assert "choose a RawTableVersion from 3 to 5" in str(refused.value)
    assert [STORE.resolve_version(place(location), version) for version in (3, 5, -1)] == [3, 5, 5]


@pytest.mark.parametrize("scheme", ["file:", "file://"])
def test_a_log_that_names_files_of_another_table_is_a_shallow_clone(
    tmp_path: Path, scheme: str
) -> None:
    source = written(tmp_path / "source", 1)
    clone = shutil.copytree(source / "_delta_log", tmp_path / "clone" / "_delta_log").parent
    log = clone / "_delta_log" / f"{0:020}.json"
    path = next(iter(source.glob("*.parquet"))).name
    log.write_text(log.read_text().replace(f'"path":"{path}"', f'"path":"{scheme}{source}/{path}"'))
    with pytest.raises(
        GovernanceError, match=r"table edgar\.raw\.filings is a shallow clone, which cannot be read"
    ):
        STORE.resolve_version(place(clone), -1)
    log.write_text(log.read_text().replace(str(source), str(clone)))
    (clone / path).write_bytes((source / path).read_bytes())
    assert STORE.resolve_version(place(clone), -1) == 0  # absolute, but its own


@pytest.mark.parametrize("checkpoint", [None, 2])
@pytest.mark.parametrize(
    "hint",
    [
        None, "", "{", "null", "[]", '{"version": "x"}', '{"version": -5, "size": 3}',
        '{"version": 1, "size": 3}',
        '{"version": 3, "size": 3}', '{"version": 5, "size": 3}', '{"version": 6, "size": 3}',
        '{"version": 1000000000000000, "size": 3}', '{"version": 3, "parts": 5, "size": 3}',
    ],
)  # fmt: skip
def test_a_wrong_last_checkpoint_is_read_past(
    tmp_path: Path, hint: str | None, checkpoint: int | None
) -> None:
    location = written(tmp_path / "t", checkpoint=checkpoint)
    last = location / "_delta_log" / "_last_checkpoint"
    last.unlink(missing_ok=True)
    if hint is not None:
        last.write_text(hint)
    table = place(location)
    assert [STORE.resolve_version(table, version) for version in (-1, 0, 3, 5)] == [5, 0, 3, 5]
    assert [STORE.rows(table, version) for version in (0, 3, 5)] == [1, 4, 6]
    with pytest.raises(NotFound, match="versions up to 5"):
        STORE.resolve_version(table, 6)


@pytest.mark.parametrize("version", [-1, 0, 5])
def test_a_hint_at_version_0_without_a_checkpoint_is_to_be_deleted(
    tmp_path: Path, version: int
) -> None:
    """delta-rs would open the table at the version before it, which does not exist."""
    location = written(tmp_path / "t")
    hint = location / "_delta_log" / "_last_checkpoint"
    hint.write_text(json.dumps({"version": 0, "size": 3}))
    with pytest.raises(GovernanceError) as refused:
        STORE.resolve_version(place(location), version)
    assert (
        f"the Delta table at {location} cannot be opened: its _delta_log/_last_checkpoint is wrong"
        in str(refused.value)
    )
    assert "do        delete _delta_log/_last_checkpoint, which is only a hint" in str(
        refused.value
    )
    hint.unlink()
    assert STORE.resolve_version(place(location), version) == (5 if version < 0 else version)


def test_a_commit_goes_on_a_log_whose_last_checkpoint_is_wrong(tmp_path: Path) -> None:
    location = written(tmp_path / "t")
    (location / "_delta_log" / "_last_checkpoint").write_text(json.dumps({"version": 4, "size": 3}))
    table = tables.open_table(str(location), {}, None)
    write_deltalake(table, pa.table({"cik": ["6"]}), mode="append")
    assert tables.open_table(str(location), {}, None).version() == 6


def test_delta_rs_itself_stops_at_a_hint_without_a_checkpoint(tmp_path: Path) -> None:
    """This is why `checkpoint_hint` exists. If this test fails, it may go."""
    location = written(tmp_path / "t")
    (location / "_delta_log" / "_last_checkpoint").write_text(json.dumps({"version": 4, "size": 3}))
    with pytest.raises(Exception, match="_last_checkpoint hint"):
        DeltaTable(str(location))
    assert checkpoint_hint.newest_commit(file_system(str(location), {})) == 5
