"""The raw table is written in batches of bounded size, as one commit that knows which filings it
holds.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from pipeline.local.setup import raw_table
from pipeline.local.setup.filings import COLUMNS, Filings
from pipeline.local.setup.rows import Row, Rows
from pipeline.shell import amount

_SCHEMA = pa.schema([(column, pa.string()) for column in COLUMNS])


def filing(number: int, text: str | None) -> Row:
    return dict.fromkeys(COLUMNS) | {"cik": str(number), "item_1a": text}


def test_all_rows_are_one_commit_with_their_digest(tmp_path: Path) -> None:
    rows = Rows(filing(number, "risk " * (number % 7)) for number in range(1000))
    raw_table.write(str(tmp_path), rows, {})
    table = DeltaTable(str(tmp_path))
    assert table.version() == 0
    assert table.history(1)[0]["filings_sha256"] == rows.sha256
    assert sorted(table.to_pyarrow_table().to_pylist(), key=str) == sorted(rows, key=str)


def test_a_long_loading_shows_how_many_filings_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Rows(filing(number, "risk") for number in range(1000))
    raw_table.write(str(tmp_path / "short"), rows, {})
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(amount, "SILENT_SECONDS", 0.0)
    raw_table.write(str(tmp_path / "long"), rows, {})
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("loading    1,000 of 1,000 filings · ")


def test_a_new_set_of_filings_replaces_the_old_one_in_the_next_version(tmp_path: Path) -> None:
    for text in ("old", "new"):
        raw_table.write(str(tmp_path), Rows([filing(1, text)]), {})
    table = DeltaTable(str(tmp_path))
    assert table.version() == 1
    assert [row["item_1a"] for row in table.to_pyarrow_table().to_pylist()] == ["new"]


def test_an_optional_column_comes_and_goes_with_the_filings(tmp_path: Path) -> None:
    styled = filing(2, "b") | {"section_html": "<p>b</p>"}
    for rows in ([filing(1, "a"), styled], [filing(1, "a")]):
        raw_table.write(str(tmp_path), Rows(rows), {})
    old, new = (DeltaTable(str(tmp_path), version=version) for version in (0, 1))
    assert old.to_pyarrow_table()["section_html"].to_pylist() == [None, "<p>b</p>"]
    assert new.to_pyarrow_table().column_names == list(COLUMNS)


def test_a_batch_holds_bounded_text_and_a_longer_row_is_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(raw_table, "_BATCH_CHARACTERS", 1000)
    rows = [
        filing(number, text)
        for number, text in enumerate(["a" * 300] * 10 + ["b" * 5000, None, "c" * 5000])
    ]
    batches = list(raw_table._batches(rows, _SCHEMA))
    assert [batch.num_rows for batch in batches] == [4, 4, 3, 2]
    assert pa.Table.from_batches(batches).to_pylist() == rows
    assert list(raw_table._batches([], _SCHEMA)) == []


def test_the_rows_are_drawn_one_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_table, "_BATCH_CHARACTERS", 1000)
    drawn: list[int] = []
    rows = (drawn.append(number) or filing(number, "a" * 600) for number in range(100))
    next(raw_table._batches(rows, _SCHEMA))
    assert drawn == [0, 1]


def test_a_data_file_has_row_groups_that_a_reader_can_hold(tmp_path: Path) -> None:
    raw_table.write(str(tmp_path), Rows(filing(number, "x") for number in range(300)), {})
    (path,) = tmp_path.glob("*.parquet")
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [
        128,
        128,
        44,
    ]


def test_filings_that_a_user_gave_are_kept_and_the_caller_learns_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_table, "_storage_options", lambda *_: {})
    monkeypatch.setattr(raw_table, "_register", lambda *_: None)
    given, small = (Rows([filing(number, "text")]) for number in (1, 2))

    def loaded(filings: Rows, *, asked_for: bool) -> tuple[int, bool]:
        admin: Any = None
        return raw_table.loaded(admin, str(tmp_path), Filings(filings, asked_for=asked_for), aws={})

    assert loaded(small, asked_for=False) == (0, False)
    assert loaded(given, asked_for=True) == (1, False)
    assert loaded(small, asked_for=False) == (1, True)
    assert loaded(given, asked_for=True) == (1, False)
