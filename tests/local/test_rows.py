"""Rows are kept in order, counted and digested, whether they fit in memory or not."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from pipeline.local.setup import rows as module
from pipeline.local.setup.rows import Row, Rows

ROWS: list[Row] = [
    {"cik": str(number), "item_1a": "risk\n“é”" * number, "sic": None} for number in range(50)
]


@pytest.fixture(params=["in memory", "in a file"])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rows:
    if request.param == "in a file":
        monkeypatch.setattr(module, "_IN_MEMORY_BYTES", 1000)
    return Rows(ROWS)


def test_rows_can_be_read_several_times(rows: Rows) -> None:
    assert len(rows) == 50
    assert list(rows) == list(rows) == ROWS
    assert (rows[0], rows[-1], rows[3:5]) == (ROWS[0], ROWS[-1], ROWS[3:5])


def test_two_readers_and_a_writer_do_not_disturb_each_other(rows: Rows) -> None:
    pairs = zip(rows, rows, strict=True)
    assert next(pairs) == (ROWS[0], ROWS[0])
    rows.append({"cik": "last"})
    assert [first for first, second in pairs if first == second] == [*ROWS[1:], {"cik": "last"}]


def test_the_digest_is_that_of_all_rows_as_one_json_array(rows: Rows) -> None:
    assert rows.sha256 == hashlib.sha256(json.dumps(ROWS, sort_keys=True).encode()).hexdigest()
    before = rows.sha256
    rows.append({"cik": "one more"})
    assert before != rows.sha256 != Rows(reversed(list(rows))).sha256
    assert Rows().sha256 == hashlib.sha256(b"[]").hexdigest()
    assert not Rows()


def test_a_temporary_file_has_no_name_that_could_be_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "_IN_MEMORY_BYTES", 1)
    rows = Rows(ROWS)
    assert os.fstat(rows._file.fileno()).st_size > 0
    assert list(tmp_path.iterdir()) == []
