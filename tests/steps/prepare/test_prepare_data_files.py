"""Data files of every size: what the task writes is what its report says, on a folder."""

import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pytest

from steps.prepare import data_files
from steps.prepare.data_files import _BUFFER_BYTES
from steps.prepare.schemas import REJECTED

_SIZES = [0, 1, _BUFFER_BYTES // 2, _BUFFER_BYTES - 1, _BUFFER_BYTES, _BUFFER_BYTES + 1, 3 * _BUFFER_BYTES, 11 << 20]


@pytest.mark.parametrize("size", _SIZES)
def test_a_file_of_any_size_is_written_whole(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)  # noqa: S311 - test data
    data_files.put(data_files.file_system(str(tmp_path), {}), "part.bin", content)
    assert (tmp_path / "part.bin").read_bytes() == content


def test_a_task_with_megabytes_of_text_writes_one_file_and_reports_it(tmp_path: Path) -> None:
    draw = random.Random(1)  # noqa: S311 - test data
    rows = [dict.fromkeys(REJECTED.names, "x") | {"detail": draw.randbytes(20_000).hex()} for _ in range(200)]
    batches = pa.Table.from_pylist(rows, schema=REJECTED.arrow).to_batches(max_chunksize=50)
    task = data_files.writing(str(tmp_path), {}, "abcdefghijkl", REJECTED)
    (reported,) = next(iter(task(batches))).to_pylist()
    content = (tmp_path / reported["path"]).read_bytes()
    assert len(content) == reported["size"] > 3 * _BUFFER_BYTES
    assert hashlib.sha256(content).hexdigest() == reported["sha256"]
    assert reported["rows"] == len(rows)
