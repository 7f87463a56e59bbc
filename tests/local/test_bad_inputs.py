"""What people type wrongly: one message, the right exit code, the nearest name, no traceback.

Each row is refused before a server starts or a call is made, so the command runs in this process.
`test_command_line` has the same for whole processes.
"""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline import command, run
from pipeline.compare import __main__ as compare
from pipeline.local import __main__ as local
from pipeline.local.host import processes
from pipeline.local.host.state import Record, State
from pipeline.logs import __main__ as logs
from pipeline.report import __main__ as report
from pipeline.runs import __main__ as runs

WIDE = "expected ≥"
SETTINGS = [
    ("Epochs=1_0", "expected a whole number"),
    ("Epochs=٣", "expected a whole number"),
    ("LearningRate= 0.01 ", "expected a number"),
    ("Epochs=", "expected a whole number"),
    ("Epochs=1.5", "expected a whole number"),
    ("Epochs=0", WIDE),
    ("Epochs=99999999999999999999999", WIDE),
    ("Seed=1e3", "expected a whole number"),
    ("Seed=-1", WIDE),
    ("MaxSteps=0", "-1 or ≥ 1"),
    ("MaxEvalLoss=nan", "expected a number"),
    ("MaxEvalLoss=inf", "expected a number"),
    ("MaxEvalLoss=-1", WIDE),
    ("LearningRate=1,5", "expected a number"),
    ("LearningRate=0x1", "expected a number"),
    ("LearningRat=0.1", "did you mean 'LearningRate'?"),
    ("learningrate=0.1", "did you mean 'LearningRate'?"),
    ("Sede=1", "did you mean 'Seed'?"),
    ("LoraRank=12", "expected one of 4 8 16 32 64 128, got 12"),
    ("SequenceLength=1000", "expected one of 256 512"),
    ("Fp8Mode=Native", "did you mean 'native'?"),
    ("Fp8Mode=native", "native needs FP8 arithmetic"),
    ("TrainInstanceType=ml.g5.16xlrge", "did you mean 'ml.g5.16xlarge'?"),
    ("MergedExport=bf16", "did you mean 'bfloat16'?"),
    ("ModelAlias=latest", "neither latest nor v<number>"),
    ("ModelAlias=v3", "neither latest nor v<number>"),
    ("RawTable=edgar.raw", "expected catalog.schema.name"),
    ("RawTable=Edgar.Raw.Filings", "expected catalog.schema.name"),
    ("CuratedTable=edgar.raw.filings", "expected another table than RawTable"),
    ("CuratedTable=edgar.curated." + "a" * 60, "at most 54 characters"),
    ("ModelName=system.models.mine", "not in system"),
    ("CuratedFrom=4X7K2M9P1Q0Z", "the id of an execution"),
    ("CuratedFrom=first", "the id of an execution"),
    ("Seed", "expected --set Name=value"),
    ("=3", "expected --set Name=value"),
]


def ended(
    capsys: pytest.CaptureFixture[str],
    main: Callable[[list[str]], int],
    *words: str,
) -> tuple[int, str]:
    """Return exit code and message of a command that has to be refused."""
    try:
        code = command.ended(lambda _: main(list(words)), [])
    except SystemExit as stopped:  # argparse
        code = int(stopped.code or 0)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return code, printed.err


@pytest.mark.parametrize(("setting", "message"), SETTINGS)
def test_a_wrong_parameter_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, setting: str, message: str
) -> None:
    state = tmp_path / "state"
    code, error = ended(capsys, local.main, "run", "--state", str(state), "--set", setting)
    assert (code, message in error) == (2, True), error
    assert error.count("Error") == 1
    assert not state.exists()


FILINGS = {
    "empty": (b"", "no JSON document in it"),
    "not JSON": (b"CIK;company\n1;2\n", "are not filings"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is not UTF-8"),
    "cut": (b'{"cik": "1", "company": "A", "fil', "are not filings"),
    "numbers": (b"[1, 2]", "a JSON object is expected"),
    "no fields": (b'{"cik": "1"}\n', "no company, filing_type, filing_date, filename"),
    "both spellings": (
        b'{"cik": "1", "company": "A", "item_1A": "a", "item_1a": "b"}\n',
        "item_1A and item_1a are one field",
    ),
    "half a gzip": (gzip.compress(b"{}\n" * 999)[:20], "cut off or damaged gzip"),
}


@pytest.mark.parametrize("name", FILINGS)
def test_a_file_that_has_no_filings_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    content, message = FILINGS[name]
    file = tmp_path / ("filings.jsonl.gz" if "gzip" in name else "filings.jsonl")
    file.write_bytes(content)
    state = tmp_path / "state"
    code, error = ended(capsys, local.main, "run", "--state", str(state), "--filings", str(file))
    assert (code, message in error) == (2, True), error
    assert not state.exists()


@pytest.mark.parametrize(
    ("main", "words", "message"),
    [
        (local.main, ("flly",), "invalid choice"),
        (local.main, ("run", "--filings", "absent.jsonl"), "cannot be read"),
        (local.main, ("run", "--aws-port", "99999"), "from 1 to 65535"),
        (run.main, ("--env", "lcoal"), "did you mean 'local'?"),
        (run.main, ("--env", "local", "--set", "Seed=1", "--set", "Seed=2"), "each name once"),
        (run.main, ("--env", "local", "--reuse"), "--reuse needs --from"),
        (runs.main, ("--env", "../conf/local"), "no environment"),
        (report.main, ("--env", "local"), "--execution"),
        (compare.main, ("--env", "local", "4x7k2m9p1q0z"), "expected"),
        (logs.main, ("--env", "local", "4x7k2m9p1q0z", "--tail", "x"), "a whole number"),
    ],
)
def test_a_wrong_word_is_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    main: Callable[[list[str]], int],
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.delenv("PIPELINE_ENV", raising=False)
    code, error = ended(capsys, main, *words)
    assert (code, message in error) == (2, True), error


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"ports": 1}', "null", "\x00"])
def test_a_broken_record_is_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "environment.json").write_text(content)
    code, error = ended(capsys, local.main, "status", "--state", str(tmp_path))
    assert (code, "is not the record of an environment" in error) == (1, True), error


def test_a_state_that_is_a_file_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "state"
    file.write_text("")
    for verb in ("run", "up", "down", "env", "status"):
        for given in (file, file / "below"):
            code, error = ended(capsys, local.main, verb, "--state", str(given))
            assert (code, f"{file} is not a folder" in error) == (2, True), error


def test_an_empty_state_does_not_mean_the_default_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPELINE_LOCAL_STATE", str(tmp_path))
    for verb in ("run", "down"):
        code, error = ended(capsys, local.main, verb, "--state", "")
        assert (code, "--state is empty" in error) == (2, True), error


def test_the_status_of_a_start_that_has_not_ended_has_a_note(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    here = processes.Process("aws", os.getpid(), psutil.Process().create_time())
    State(tmp_path).save(Record(ports={"aws": 1}, processes=(here,)))
    code = local.main(["status", "--state", str(tmp_path)])
    printed = capsys.readouterr()
    assert code == 1
    assert "aws        running" in printed.out
    assert "not whole: `up` has not ended, or was killed" in printed.err
    assert f"up --state {tmp_path}" in printed.err


def test_there_are_at_least_forty() -> None:
    assert len(SETTINGS) + len(FILINGS) >= 40
