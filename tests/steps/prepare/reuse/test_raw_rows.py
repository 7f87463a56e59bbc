"""Rows of the raw version that were read must be live in its newest version, file by file."""

from pathlib import Path
from typing import Any

import pytest

from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import TableVersion
from steps.governance.errors import IntegrityError
from steps.prepare.delta import vector_files
from steps.prepare.reuse import stored
from tests.steps.prepare.delta.test_vector_files import ONE, TWO, Log, add, name, remove, vector

INSIDE = {"storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72"}
KEPT = (add("a%20b.parquet", vector(ONE)), add("b.parquet"))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path)
    made.commit(0, *KEPT)
    return made


def require(log: Log) -> None:
    """Check version 0, of which a manifest lists the data files and the vector's file."""
    recorded = TableVersion(
        table="edgar.raw.filings", table_id="id", location=log.place.location, version=0
    )
    paths = ("a%20b.parquet", "b.parquet", name(ONE))
    files = [FileEntry(path=path, size=1, sha256="0" * 64) for path in paths]
    stored._require_raw_rows(log.place, recorded, files)


def test_live_names_every_file_with_its_vector(log: Log) -> None:
    log.commit(1, add("c.parquet", INSIDE), remove("b.parquet"))
    assert sorted(vector_files.live(log.place, 1)) == [
        ("a%20b.parquet", name(ONE)),
        ("c.parquet", vector_files.INLINE),
    ]


def test_appended_files_and_their_deletions_are_allowed(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    require(log)
    assert not caplog.text
    log.commit(1, add("c.parquet"))
    log.commit(2, remove("c.parquet"), add("c.parquet", vector(TWO)))
    require(log)
    assert "has version 2 by now" in caplog.text


@pytest.mark.parametrize(
    ("actions", "named"),
    [
        ([remove("b.parquet")], "b.parquet"),
        ([remove("b.parquet"), add("b.parquet", vector(TWO))], "b.parquet"),
        ([remove("b.parquet"), add("b.parquet", INSIDE)], "b.parquet"),
        ([remove("a%20b.parquet", vector(ONE)), add("a%20b.parquet")], name(ONE)),
        (
            [remove("a%20b.parquet", vector(ONE)), add("a%20b.parquet", vector(TWO))],
            "a b.parquet",
        ),
    ],
)
def test_deleted_and_restored_rows_are_refused(
    log: Log, actions: list[dict[str, Any]], named: str
) -> None:
    log.commit(1, *actions)
    with pytest.raises(IntegrityError, match=r"deleted from edgar\.raw\.filings") as refused:
        require(log)
    assert named in str(refused.value)
