"""The arguments of trace: one question, one form of answer, all faults in one message."""

from pathlib import Path

import pytest

from steps.governance.errors import UsageError
from steps.trace.arguments import default_index, parse

EVIDENCE = "--evidence-uri=s3://evidence-bucket/executions"


def test_a_question_is_read_with_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    found = parse([EVIDENCE, "--table=edgar.raw.filings", "--version=7"])
    assert (found.kind, found.text, found.version) == ("table", "edgar.raw.filings", 7)
    assert found.index == Path("/cache/governed-finetune/trace")
    assert (found.json, found.html, found.format, found.offline) == (False, None, None, False)


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert default_index().is_absolute()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([], "one of --model, --execution, --table, --filing, --principal was expected, got 0"),
        (["--filing=a", "--principal=b"], "was expected, got 2"),
        (["--model=edgar.models.m"], "--model: NAME@VERSION or NAME@ALIAS was expected"),
        (["--table=filings"], "--table: catalog.schema.name was expected"),
        (["--filing=a\nb"], "--filing: a filing's id was expected"),
        (["--filing=a", "--version=1"], "--version: it belongs to --table"),
        (["--table=a.b.c", "--version=-1"], "--version: a whole number"),
        (["--filing=a", "--rebuild", "--offline"], "--rebuild: it reads the evidence"),
        (["--filing=a", "--json", "--html=x"], "one of --json, --html, --format was expected"),
        (["--filing=a", "--format=slsa"], "--format: it is of one record"),
        (["--execution=a", "--format=pdf"], "--format: one of slsa, openlineage"),
        (["--execution=a", "--format=slsa", "--offline"], "--format: it reads the record"),
        (["--execution=a", "--signed"], "--signed: it belongs to --format slsa"),
        (["--filing=a", "--databricks-host=https://x"], "go together"),
        (["--filing=a", "--colour=red"], "--colour=red: unknown"),
        (["--filing=a", "--region=nowhere"], "--region: an AWS region was expected"),
    ],
)
def test_a_wrong_command_line_is_one_message(words: list[str], fault: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse([EVIDENCE, *words])
    assert fault in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/other", "s3:///executions"])
def test_another_evidence_uri_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="--evidence-uri: s3://<bucket>/executions was expected"):
        parse([f"--evidence-uri={uri}", "--filing=a"])
