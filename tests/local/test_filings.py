"""If a filing is faulty, none is loaded, and every faulty line is named."""

import json
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.local.setup import filings

FILING = {
    "cik": "320193",
    "company": "EXAMPLE INC",
    "filing_type": "10-K",
    "filing_date": "2024-11-01",
    "period_of_report": "2024-09-28",
    "filename": "320193_10K_2024_0000320193-24-000123.htm",
    "item_1A": "Item 1A. Risk Factors\n…",
    "item_7": "left out",
}


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "filings.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_known_fields_become_columns_and_others_are_left_out(tmp_path: Path) -> None:
    (row,) = filings.read([written(tmp_path, json.dumps(FILING), "")])
    assert tuple(row) == filings.COLUMNS
    assert row["item_1a"] == FILING["item_1A"]
    assert row["part_2_item_1a"] is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("not json", "not JSON"),
        ("[]", "a JSON object is expected, got list"),
        (json.dumps(FILING | {"cik": ""}), "no cik"),
        (json.dumps({"cik": "1"}), "no company, filing_type, filing_date, filename"),
        (json.dumps(FILING | {"item_1A": ["a"]}), "item_1A must be text, got list"),
        (json.dumps(FILING | {"item_1A": "\ud83d"}), "item_1A is not text"),
        ("[" * 100_000, "not a filing (nested too deeply)"),
    ],
)
def test_a_faulty_line_is_named_and_nothing_is_taken(tmp_path: Path, line: str, fault: str) -> None:
    path = written(tmp_path, json.dumps(FILING), line)
    with pytest.raises(UsageError) as refusal:
        filings.read([path])
    assert f"{path}:2: {fault}" in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_many_faults_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"30 line\(s\) are not filings(.|\n)*and 20 more"):
        filings.read([written(tmp_path, *["x"] * 30)])


def test_a_missing_an_empty_and_a_binary_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.jsonl cannot be read: No such file"):
        filings.read([tmp_path / "absent.jsonl"])
    with pytest.raises(UsageError, match="no JSON document in it"):
        filings.read([written(tmp_path, "")])
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b'{"cik": "\xff"}')
    with pytest.raises(UsageError, match="is not UTF-8"):
        filings.read([binary])
