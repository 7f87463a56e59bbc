"""The files of deletion vectors, from commits and every kind of checkpoint."""

import base64
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.governance.errors import GovernanceError
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.prepare.delta import vector_files
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.store import Place
from tests.steps.prepare.support import fakes

# From the Delta protocol: the vector "ab^-aqEH.-t@S}K{vb[*k^" is in this file below "ab".
EXAMPLE = "ab^-aqEH.-t@S}K{vb[*k^"
EXAMPLE_PATH = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
ONE, TWO = UUID(int=1), UUID(int=2)
_TO_Z85 = {ours: z85 for z85, ours in vector_files._TO_BASE85.items()}


def vector(identity: UUID) -> dict[str, Any]:
    encoded = base64.b85encode(identity.bytes).decode().translate(_TO_Z85)
    return {"storageType": "u", "pathOrInlineDv": encoded, "offset": 1, "cardinality": 1}


def name(identity: UUID) -> str:
    return f"deletion_vector_{identity}.bin"


def add(path: str, held: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"add": {"path": path} | ({"deletionVector": held} if held else {})}


def remove(path: str, held: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"remove": {"path": path} | ({"deletionVector": held} if held else {})}


COMMITS = (
    [add("a.parquet"), add("b.parquet")],
    [remove("a.parquet"), add("a.parquet", vector(ONE))],
    [add("a.parquet", vector(TWO)), remove("a.parquet", vector(ONE))],
    [remove("a.parquet", vector(TWO)), add("c.parquet")],
)
EXPECTED = ([], [name(ONE)], [name(TWO)], [])


class Log:
    """A table's folder with a log made by hand."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "t" / "_delta_log"
        (self.folder / "_sidecars").mkdir(parents=True)
        location = str(root / "t")
        table = Table(UcName.parse("edgar.raw.filings"), "id", location)
        access = fakes.FolderCatalog(root).read_access(table)
        self.place = Place(table.name, location, access, table)

    def commit(self, number: int, *actions: dict[str, Any]) -> None:
        (self.folder / f"{number:020}.json").write_text("\n".join(map(json.dumps, actions)))

    def write(self, name: str, *actions: dict[str, Any]) -> None:
        path = self.folder / name
        if path.suffix == ".json":
            path.write_text("\n".join(map(json.dumps, actions)))
        else:
            pq.write_table(pa.Table.from_pylist(list(actions)), path)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path)
    for number, actions in enumerate(COMMITS):
        made.commit(number, *actions)
    return made


@pytest.mark.parametrize("version", range(len(COMMITS)))
def test_the_files_are_those_of_the_live_vectors(log: Log, version: int) -> None:
    assert vector_files.of(log.place, version) == EXPECTED[version]


LIVE = (add("b.parquet"), add("a.parquet", vector(ONE)))
_NUMBER, _ID = f"{1:020}", "00000000-0000-0000-0000-000000000009"


def classic(log: Log) -> None:
    log.write(f"{_NUMBER}.checkpoint.parquet", *LIVE)


def in_parts(log: Log) -> None:
    for part, action in enumerate(LIVE, 1):
        log.write(f"{_NUMBER}.checkpoint.{part:010}.{2:010}.parquet", action)


def with_sidecars(log: Log) -> None:
    log.write(f"{_NUMBER}.checkpoint.{_ID}.json", {"sidecar": {"path": "one.parquet"}})
    log.write("_sidecars/one.parquet", *LIVE)


def with_parquet_and_sidecars(log: Log) -> None:
    log.write(f"{_NUMBER}.checkpoint.{_ID}.parquet", {"sidecar": {"path": "one.parquet"}})
    log.write("_sidecars/one.parquet", *LIVE)


@pytest.mark.parametrize("kind", [classic, in_parts, with_sidecars, with_parquet_and_sidecars])
def test_a_checkpoint_replaces_the_commits_before_it(log: Log, kind: Any) -> None:
    kind(log)
    for number in (0, 1):
        (log.folder / f"{number:020}.json").unlink()
    assert [vector_files.of(log.place, number) for number in (1, 2, 3)] == list(EXPECTED[1:])


def test_an_incomplete_checkpoint_is_not_used(log: Log) -> None:
    log.write(f"{_NUMBER}.checkpoint.{1:010}.{2:010}.parquet", add("x.parquet", vector(TWO)))
    assert vector_files.of(log.place, 1) == [name(ONE)]


def test_prefix_and_inline_and_absolute_vectors(log: Log) -> None:
    inside = {"storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72"}
    absolute = {"storageType": "p", "pathOrInlineDv": f"{log.place.location}/x/here.bin"}
    prefixed = {"storageType": "u", "pathOrInlineDv": EXAMPLE}
    log.commit(4, add("d", inside), add("e", absolute), add("f", prefixed))
    assert vector_files.of(log.place, 4) == [EXAMPLE_PATH, "x/here.bin"]


def test_a_vector_of_another_table_is_refused(log: Log) -> None:
    log.commit(4, add("d", {"storageType": "p", "pathOrInlineDv": "s3://other/t/x.bin"}))
    with pytest.raises(GovernanceError, match="a deletion vector is stored elsewhere"):
        vector_files.of(log.place, 4)


def test_the_store_lists_the_files_of_vectors_next_to_the_data_files(tmp_path: Path) -> None:
    log = Log(tmp_path)
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    field = {"name": "a", "type": "string", "nullable": True, "metadata": {}}
    schema = {"type": "struct", "fields": [field]}
    about = {"id": "1", "format": {"provider": "parquet", "options": {}}, "partitionColumns": []}
    held = vector(ONE) | {"sizeInBytes": 34}
    file = {"partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": True}
    log.commit(
        0,
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7} | features},
        {"metaData": about | {"schemaString": json.dumps(schema), "configuration": {}}},
        {"add": {"path": "a.parquet", "deletionVector": held} | file},
    )
    store = DeltaRsStore(None)  # type: ignore[arg-type]
    assert store.files(log.place, 0) == ["a.parquet", name(ONE)]
