"""Documents that earlier versions wrote stay readable, byte for byte.

The files were written by the journey of commit 6226c3d, the last one before version 2. They are
never made again: a document of an earlier schema cannot change, only its reader can.
"""

import hashlib
from pathlib import Path

import pytest

from steps.governance.documents.document import Manifest
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Record

FOLDER = Path(__file__).resolve().parents[3] / "golden" / "evidence"
DOCUMENTS: list[tuple[str, type[Manifest], str]] = [
    (
        "prepared.1.json",
        Prepared,
        "8770a4f773e4e4f2da83eaebb03d2ae084af8e301c06d9b241e0ef0a84c770c8",
    ),
    ("trained.1.json", Trained, "cc75e14097281171b4e0b86bb0dce9e0bfad6d5ffa5054b6173d3863d9d0fbd5"),
    (
        "registered.1.json",
        Record,
        "262f3bf73bdb76c4f4f8bf3e6a1ce6a197a7f633dc6131e762d1618f61e0f119",
    ),
]


def read(name: str, model: type[Manifest]) -> Manifest:
    return model.from_bytes((FOLDER / name).read_bytes(), origin=name)


@pytest.mark.parametrize(("name", "model", "sha256"), DOCUMENTS)
def test_a_document_of_version_1_has_its_bytes(
    name: str, model: type[Manifest], sha256: str
) -> None:
    content = (FOLDER / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256, "the golden file was changed"
    document = read(name, model)
    assert document.to_bytes() == content
    assert document.sha256 == sha256


def test_the_three_documents_are_of_one_execution_and_refer_to_each_other() -> None:
    prepared, trained = read("prepared.1.json", Prepared), read("trained.1.json", Trained)
    record = read("registered.1.json", Record)
    assert isinstance(prepared, Prepared)
    assert isinstance(trained, Trained)
    assert isinstance(record, Record)
    assert trained.data.manifest_sha256 == record.prepare.manifest_sha256 == prepared.sha256
    assert record.train.manifest_sha256 == trained.sha256


def test_what_came_with_version_2_is_unknown_of_a_document_of_version_1() -> None:
    prepared, trained = read("prepared.1.json", Prepared), read("trained.1.json", Trained)
    record = read("registered.1.json", Record)
    assert isinstance(prepared, Prepared)
    assert isinstance(trained, Trained)
    assert isinstance(record, Record)
    assert (prepared.raw_files, prepared.membership, prepared.build) == (None, None, None)
    assert (trained.reading, trained.build) == (None, None)
    assert (record.readings, record.ledger, record.register_) == (None, None, None)
    assert (record.execution.started_by, record.prepare.image) == (None, None)
