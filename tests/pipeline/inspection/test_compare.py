"""What a comparison shows, and how the report is found in an archive."""

import io
import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.compare import differences
from pipeline.compare.__main__ import page
from pipeline.execution.outcome import Progress, outcome
from pipeline.execution.ran_with import RanWith
from pipeline.inspection import documents
from pipeline.inspection.documents import Documents
from pipeline.inspection.run_summary import Summary

REPORT = {
    "metrics": {"eval_loss": 2.5, "eval_tokens": 100, "stopped_early": False},
    "lengths": {"train": {"documents": 10, "affected_documents": {"prompt_cut": 4}}},
    "sample": {"example_id": "e1", "base": "no\nidea", "tuned": ""},
    "seconds": {"train": 1.5},
}
PREPARED = {
    "source": {"table": "a.b.raw", "version": 7},
    "target": {"table": "a.b.c", "version": 1},
    "template": "t/2",
    "counts": {"filings_read": 24, "rejected_by_reason": {"x": 1}},
}


def pair(run: str, *, rank: str, report: dict[str, Any] | None = None) -> differences.Pair:
    at = datetime(2026, 11, 29, tzinfo=UTC)
    parameters = {"LoraRank": rank, "Seed": "17"}
    summary = Summary(
        id=run,
        name=run,
        who="anna",
        started=at,
        ended=at,
        ran=RanWith({"LoraRank": "16", "Seed": "17"}, parameters),
        result=outcome(Progress(f"arn/{run}", "Succeeded", ()), parameters),
    )
    return summary, Documents(PREPARED, None, None, report, ())


def by_name(rows: list[differences.Row]) -> dict[str, differences.Row]:
    return {row.name: row for row in rows}


def test_parameters_data_metrics_and_samples_are_next_to_each_other() -> None:
    better = REPORT | {"metrics": {"eval_loss": 2.4, "eval_tokens": 100}}
    found = by_name(
        differences.rows([pair("a", rank="16", report=REPORT), pair("b", rank="32", report=better)])
    )
    assert found["LoraRank"].values == ("16", "32")
    assert found["LoraRank"].differs
    assert "Seed" not in found
    assert found["raw table"].values == ("a.b.raw@7",) * 2
    assert not found["raw table"].differs
    assert found["eval loss"].values == ("2.5", "2.4")
    assert found["prompts cut"].values == ("4 of 10",) * 2
    assert (found["base"].values[0], found["tuned"].values[0]) == ("no idea", "(empty)")


def test_all_shows_every_parameter_and_an_absent_report_is_a_dash() -> None:
    pairs = [pair("a", rank="16", report=REPORT), pair("b", rank="16")]
    found = by_name(differences.rows(pairs, every_parameter=True))
    assert found["Seed"].values == ("17", "17")
    assert found["eval loss"].values == ("2.5", "–")


def test_the_page_marks_the_rows_that_differ() -> None:
    pairs = [pair("a", rank="16"), pair("b", rank="32")]
    document = page(pairs, differences.rows(pairs))
    sections: Any = document["sections"]
    (table,) = next(each["blocks"] for each in sections if each["title"] == "parameters")
    assert table["rows"] == [["≠", "LoraRank", "16", "32"]]
    assert table["marked"] == [0]


def archive(files: dict[str, bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return io.BytesIO(made.getvalue())


class OneWay(io.RawIOBase):
    """A body of S3: it is read once, forward."""

    def __init__(self, content: io.BytesIO) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


def test_the_report_is_found_in_an_archive_that_is_read_once() -> None:
    files = {"adapter.safetensors": b"0" * 10**6, "./report.json": json.dumps(REPORT).encode()}
    assert documents.report_in(OneWay(archive(files))) == REPORT
    assert documents.report_in(OneWay(archive({"README.md": b""}))) is None


def test_a_report_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"report.json has 11 bytes, of 10 at most"):
        documents.report_in(OneWay(archive({"report.json": b"0" * 11})))


def test_two_executions_are_needed() -> None:
    from pipeline import command
    from pipeline.compare.__main__ import main

    assert command.ended(main, ["--env", "local", "a"]) == 2
    assert command.ended(main, ["--env", "local", "a", "a"]) == 2


def test_a_loss_that_sagemaker_writes_in_another_way_does_not_differ() -> None:
    one, other = pair("a", rank="16"), pair("b", rank="16")
    other = (replace(other[0], ran=RanWith({"LoraRank": "16"}, {"LoraRank": "16.0"})), other[1])
    assert "LoraRank" not in by_name(differences.rows([one, other]))
