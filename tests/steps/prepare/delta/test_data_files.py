"""Data files of every size equal their report, and a failed write leaves no file."""

import gc
import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pytest

from steps.prepare.delta import data_files
from steps.prepare.delta.data_files import _BUFFER_BYTES
from steps.prepare.schemas import REJECTED
from tests.steps.prepare.support import refusing_storage

_SIZES = [
    0,
    1,
    _BUFFER_BYTES // 2,
    _BUFFER_BYTES - 1,
    _BUFFER_BYTES,
    _BUFFER_BYTES + 1,
    3 * _BUFFER_BYTES,
    11 << 20,
]


@pytest.mark.parametrize("size", _SIZES)
def test_a_file_of_any_size_is_written_whole(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)  # noqa: S311 - test data
    data_files.put(data_files.file_system(str(tmp_path), {}), "part.bin", content)
    assert (tmp_path / "part.bin").read_bytes() == content


def test_a_task_with_megabytes_of_text_writes_one_file_and_reports_it(tmp_path: Path) -> None:
    draw = random.Random(1)  # noqa: S311 - test data
    rows = [
        dict.fromkeys(REJECTED.names, "x") | {"detail": draw.randbytes(20_000).hex()}
        for _ in range(200)
    ]
    batches = pa.Table.from_pylist(rows, schema=REJECTED.arrow).to_batches(max_chunksize=50)
    task = data_files.writing(str(tmp_path), {}, "abcdefghijkl", REJECTED)
    (reported,) = next(iter(task(batches))).to_pylist()
    content = (tmp_path / reported["path"]).read_bytes()
    assert len(content) == reported["size"] > 3 * _BUFFER_BYTES
    assert hashlib.sha256(content).hexdigest() == reported["sha256"]
    assert reported["rows"] == len(rows)


def interrupted(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Interrupt the write of slice number `after`, as the end of an executor's task does."""
    real, written = pa.BufferedOutputStream, []

    class Interrupted:
        def __init__(self, *arguments: object) -> None:
            self._stream = real(*arguments)

        def write(self, content: memoryview) -> None:
            if len(written) == after:
                raise KeyboardInterrupt
            written.append(self._stream.write(content))

        def __getattr__(self, name: str) -> object:
            return getattr(self._stream, name)

    monkeypatch.setattr(data_files.pa, "BufferedOutputStream", Interrupted)


@pytest.mark.parametrize("after", [0, 1, 30])
def test_a_write_that_is_interrupted_leaves_nothing_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    interrupted(monkeypatch, after=after)
    with pytest.raises(KeyboardInterrupt):
        data_files.put(data_files.file_system(str(tmp_path), {}), "part.bin", bytes(20 << 20))
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", [0, 1, 30])
def test_a_write_that_is_interrupted_leaves_no_object(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    interrupted(monkeypatch, after=after)
    with refusing_storage.storage() as bucket:
        with pytest.raises(KeyboardInterrupt):
            data_files.put(
                data_files.file_system("s3://bucket/t", bucket.options), "part.bin", bytes(20 << 20)
            )
        gc.collect()
    assert bucket.objects == {}


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_part_that_the_storage_refuses_leaves_no_object(part: int) -> None:
    with refusing_storage.storage(refused_part=part) as bucket:
        with pytest.raises(OSError, match=r"400|BadDigest"):
            data_files.put(
                data_files.file_system("s3://bucket/t", bucket.options), "part.bin", bytes(25 << 20)
            )
        gc.collect()
    assert any("partNumber" in request for request in bucket.requests)
    assert bucket.objects == {}


@pytest.mark.parametrize("size", [0, 1, 3 << 20, 25 << 20])
def test_an_object_of_any_size_is_written_whole(size: int) -> None:
    content = random.Random(size).randbytes(size)  # noqa: S311 - test data
    with refusing_storage.storage() as bucket:
        data_files.put(data_files.file_system("s3://bucket/t", bucket.options), "part.bin", content)
    assert list(bucket.objects.values()) == [hashlib.sha256(content).hexdigest()]
