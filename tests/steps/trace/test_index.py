"""The index follows the evidence, and is never trusted: what does not match is rebuilt."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from steps.governance.documents import canonical, membership
from steps.governance.errors import AccessDenied, UsageError
from steps.trace.history import History
from steps.trace.index import filings, memberships, refresh
from steps.trace.index.files import Index, IndexFolder
from steps.trace.store import FolderStore
from tests.support.folders import write
from tests.support.histories import Made, Size, accession, documents, made, membership_bytes

RECORD = "executions/000000000003/register/record.json"
MANIFEST = "executions/000000000003/prepare/manifest.json"
SIZE = Size(executions=5, plain=True)


class Reads(FolderStore):
    """A folder that counts what is read from it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.keys: list[str] = []
        self.refused = ""

    def read(self, key: str) -> bytes:
        self.keys.append(key)
        if self.refused and self.refused in key:
            raise AccessDenied(f"this identity was refused: read {key}")
        return super().read(key)


class Kept:
    """Evidence in a folder, and its index."""

    def __init__(self, folder: Path) -> None:
        self.made: Made = made(SIZE, 5)
        self.evidence = folder / "evidence"
        self.index = folder / "index"
        write(self.evidence, self.made.objects)
        self.store = Reads(self.evidence)

    def refreshed(self, *, rebuild: bool = False) -> tuple[Index, list[str]]:
        self.store.keys.clear()
        folder = IndexFolder(self.index, "test")
        return refresh.refresh(self.store, folder, rebuild=rebuild), folder.notes

    def filings(self, index: Index) -> list[Path]:
        return IndexFolder(self.index, "test").paths(index)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_second_command_reads_no_document_again(kept: Kept) -> None:
    first, notes = kept.refreshed()
    assert len(kept.store.keys) == len(kept.made.objects)
    second, more = kept.refreshed()
    assert kept.store.keys == []
    assert (second, notes, more) == (first, [], [])


def test_only_new_documents_are_read(kept: Kept) -> None:
    kept.refreshed()
    new = made(Size(executions=6, plain=True), 5)
    added = documents(new.plain[5])
    write(kept.evidence, added)
    index, notes = kept.refreshed()
    assert sorted(kept.store.keys) == sorted(added)
    assert notes == []
    assert len(History.of(index.rows).documents["registered"]) == 6
    (wanted, *_) = new.plain[5].filings or {}
    sha256 = next(key for key in added if "membership" in key)[-72:-8]
    assert sha256 in {seen.membership_sha256 for seen in filings.find(kept.filings(index), wanted)}


def test_a_rebuild_reads_all_and_gives_the_same_rows(kept: Kept) -> None:
    first, _ = kept.refreshed()
    second, _ = kept.refreshed(rebuild=True)
    assert len(kept.store.keys) == len(kept.made.objects)
    assert sorted(second.rows, key=lambda r: r.key) == sorted(first.rows, key=lambda r: r.key)


def test_many_small_parts_become_one(kept: Kept) -> None:
    everything = made(Size(executions=24, plain=True), 5)
    index, _ = kept.refreshed()
    for each in everything.plain[5:]:
        write(kept.evidence, documents(each))
        index, _ = kept.refreshed()
        assert len(index.parts) <= 8
    for each in everything.plain[5:]:
        for wanted, (train, evaluation) in (each.filings or {}).items():
            seen = filings.find(kept.filings(index), wanted)
            assert (train, evaluation) in {(s.examples_train, s.examples_eval) for s in seen}


def test_a_changed_record_is_read_again_and_noted(kept: Kept) -> None:
    kept.refreshed()
    changed = json.loads(kept.made.objects[RECORD])
    changed["model"]["version"] = 41
    write(kept.evidence, {RECORD: canonical.dumps(changed)})
    index, notes = kept.refreshed()
    assert kept.store.keys == [RECORD]
    (note,) = notes
    assert note.startswith(f"{RECORD} has changed since it was indexed, from sha256 ")
    row = next(row for row in index.rows if row.key == RECORD)
    assert row.facts["version"] == 41


def test_a_removed_record_is_dropped_and_noted(kept: Kept) -> None:
    kept.refreshed()
    (kept.evidence / RECORD).unlink()
    index, notes = kept.refreshed()
    assert notes == [f"{RECORD} was indexed before and is gone from the evidence"]
    assert RECORD not in {row.key for row in index.rows}


def _truncated(folder: Path) -> None:
    path = next(folder.glob("documents-*.parquet"))
    path.write_bytes(path.read_bytes()[:100])


def _other_rows(folder: Path) -> None:
    """Rows of another index under the right name: only the digest shows it."""
    path = next(folder.glob("documents-*.parquet"))
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)


def _of_other_evidence(folder: Path) -> None:
    _changed(folder, evidence="s3://another/executions")


def _of_other_schema(folder: Path) -> None:
    _changed(folder, schema="governed-finetune/trace-index/0")


def _of_other_documents(folder: Path) -> None:
    _changed(folder, read_with="registered/1")


def _outside(folder: Path) -> None:
    _changed(folder, documents={"file": "../x.parquet", "sha256": "0" * 64})


def _no_json(folder: Path) -> None:
    (folder / "index.json").write_text("{")


def _a_list(folder: Path) -> None:
    (folder / "index.json").write_text("[]")


def _gone(folder: Path) -> None:
    next(folder.glob("documents-*.parquet")).unlink()


def _changed(folder: Path, **changes: object) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "damage",
    [_truncated, _other_rows, _of_other_evidence, _of_other_schema, _of_other_documents, _outside,
     _no_json, _a_list, _gone],
)  # fmt: skip
def test_a_corrupt_or_foreign_index_is_rebuilt_with_a_note(kept: Kept, damage: object) -> None:
    first, _ = kept.refreshed()
    assert callable(damage)
    damage(kept.index)
    second, notes = kept.refreshed()
    assert len(kept.store.keys) == len(kept.made.objects)
    assert len(notes) == 1
    assert "rebuilt from evidence" in notes[0]
    assert {row.key: row.sha256 for row in second.rows} == {r.key: r.sha256 for r in first.rows}


def test_filings_with_another_digest_are_not_read(kept: Kept) -> None:
    index, _ = kept.refreshed()
    path = kept.index / index.parts[0].file
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match="has another digest"):
        kept.filings(index)


def test_files_of_old_indexes_are_removed(kept: Kept) -> None:
    kept.refreshed()
    shutil.rmtree(kept.evidence / "executions/000000000003")
    kept.refreshed()
    assert len(list(kept.index.glob("documents-*"))) == 1
    assert not list(kept.index.glob("documents.*"))


def _newer(content: bytes) -> bytes:
    return content.replace(b"registered/2", b"registered/9")


def _of_another_execution(content: bytes) -> bytes:
    return content.replace(b"execution/000000000003", b"execution/000000000004")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_newer, "registered/1' or 'governed-finetune/registered/2"),
        (lambda content: content[:-20], "no JSON"),
        (lambda content: content.replace(b'{"', b'{"key":1,"', 1), "twice in one object"),
        (lambda content: b"[" * 100_000, "nested too deeply"),
        (lambda content: b"\xff" + content, "not UTF-8"),
        (_of_another_execution, "names another execution than its key"),
    ],
)
def test_a_record_that_cannot_be_trusted_is_listed_and_the_others_are_kept(
    kept: Kept, damage: object, reason: str
) -> None:
    assert callable(damage)
    write(kept.evidence, {RECORD: damage(kept.made.objects[RECORD])})
    index, _ = kept.refreshed()
    history = History.of(index.rows)
    (row,) = history.unreadable
    assert row.key == RECORD
    assert reason in (row.unreadable or "")
    assert len(history.documents["registered"]) == 4
    kept.refreshed()
    assert kept.store.keys == []  # the same bytes are not read again


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"PAR1", "its sha256 differs from the manifest's"), (None, "nothing there")],
)
def test_filings_that_cannot_be_trusted_are_unknown(
    kept: Kept, content: bytes | None, reason: str
) -> None:
    key = next(k for k in kept.made.objects if k.startswith("executions/000000000003/prepare/mem"))
    (kept.evidence / key).unlink()
    if content is not None:
        write(kept.evidence, {key: content})
    history = History.of(kept.refreshed()[0].rows)
    (row,) = history.unreadable
    assert row.key == MANIFEST
    assert "its filings are unknown" in (row.unreadable or "")
    assert reason in (row.unreadable or "")
    assert len(history.documents["prepared"]) == 5  # its table versions are still known
    write(kept.evidence, {key: kept.made.objects[key]})
    assert History.of(kept.refreshed()[0].rows).unreadable == []


@pytest.mark.parametrize("at_once", [1, 65_536])
def test_files_that_hold_no_filings_are_named_and_the_others_are_kept(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(memberships, "_ROWS_AT_ONCE", at_once)
    good = {accession(1): (1, 0), accession(2): (1, 0)}
    replaced = {
        "000000000001": b"PAR1PAR1",
        "000000000002": membership_bytes(good | {accession(1): (0, 0)}),  # without an example
        "000000000003": membership_bytes(good),
    }
    for execution, content in replaced.items():
        _with_membership(kept, execution, content)
    index, _ = kept.refreshed()
    found = {row.key.split("/")[1]: row.unreadable or "" for row in index.rows if row.unreadable}
    assert found.keys() == {"000000000001", "000000000002"}
    for execution, reason in found.items():
        uri = f"{kept.evidence}/executions/{execution}/prepare/membership-"
        assert f"its filings are unknown: {uri}" in reason
        assert reason.endswith("cannot be trusted")
    assert len(frozenset().union(*(part.memberships for part in index.parts))) == 3


def _with_membership(kept: Kept, execution: str, content: bytes) -> None:
    """Put another membership file there, and its digest into the manifest."""
    folder = f"executions/{execution}/prepare"
    manifest = json.loads(kept.made.objects[f"{folder}/manifest.json"])
    name, sha256 = membership.name(content), hashlib.sha256(content).hexdigest()
    manifest["membership"] |= {"path": name, "sha256": sha256, "size": len(content)}
    write(
        kept.evidence,
        {f"{folder}/manifest.json": canonical.dumps(manifest), f"{folder}/{name}": content},
    )


def test_a_document_that_was_refused_once_is_read_the_next_time(kept: Kept) -> None:
    kept.store.refused = RECORD
    history = History.of(kept.refreshed()[0].rows)
    assert "this identity was refused" in (history.unreadable[0].unreadable or "")
    kept.store.refused = ""
    index, notes = kept.refreshed()
    assert History.of(index.rows).unreadable == []
    assert notes == []


def test_a_folder_that_cannot_be_written_is_the_users_fault(kept: Kept) -> None:
    kept.index.write_text("a file")
    with pytest.raises(UsageError, match="the index cannot be written"):
        kept.refreshed()
