"""What `pipeline.rejected` gives to its step is what the step takes."""

from types import SimpleNamespace

import pytest

from pipeline import command
from pipeline.configuration import config
from pipeline.errors import UsageError
from pipeline.rejected import __main__ as rejected
from steps.rejected.arguments import parse

VALUES = {"CuratedTable": "edgar.curated.examples"}


@pytest.mark.parametrize("role", ["scientist", "auditor"])
@pytest.mark.parametrize("words", [(), ("--reason", "near_duplicate", "--detail", "--most", "0")])
def test_the_step_takes_every_word(
    configured: config.Config, role: str, words: tuple[str, ...]
) -> None:
    given = rejected._parser().parse_args(["4x7k2m9p1q0z", "--as", role, *words])
    parsed = parse(rejected._words(configured, given, VALUES, "4x7k2m9p1q0z"))
    assert parsed.execution_id == "4x7k2m9p1q0z"
    assert parsed.databricks_secret_id.endswith(f"/{role}")
    assert parsed.detail == ("--detail" in words)


def test_who_may_not_read_the_rows_gets_the_statement_for_the_workspace(
    configured: config.Config,
) -> None:
    given = rejected._parser().parse_args(["4x7k2m9p1q0z"])
    text = rejected._afterwards(configured, given, VALUES, "4x7k2m9p1q0z", denied=True)
    assert "FROM edgar.curated.examples_rejected WHERE execution_id = '4x7k2m9p1q0z'" in text
    assert "python -m pipeline.rejected" in text
    assert "--as auditor" in text
    assert "detail" not in text


@pytest.mark.parametrize(
    ("code", "answer", "proposed"),
    [
        (1, '{"denied": "SELECT"}', True),
        (1, "", False),  # the workspace did not answer: an auditor would meet the same
        (2, "", False),
        (0, '{"reasons": {}, "rows": []}', False),
    ],
)
def test_the_auditor_is_proposed_after_a_refusal_for_rights_only(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    answer: str,
    *,
    proposed: bool,
) -> None:
    monkeypatch.setattr(rejected.account, "sagemaker", lambda _: None)
    monkeypatch.setattr(rejected.account, "client", lambda *_: None)
    monkeypatch.setattr(rejected.start, "named", lambda *_: "arn/4x7k2m9p1q0z")
    monkeypatch.setattr(rejected.ran_with, "read", lambda *_: SimpleNamespace(values=VALUES))
    monkeypatch.setattr(rejected.reuse, "origin_in", lambda *_: "4x7k2m9p1q0z")
    monkeypatch.setattr(rejected.documents, "prepared", lambda *_: None)
    monkeypatch.setattr(rejected.command, "answer", lambda *_, **__: (code, answer))
    assert rejected.main(["--env", "dev", "4x7k2m9p1q0z"]) == code
    assert ("--as auditor" in capsys.readouterr().err) == proposed


@pytest.mark.parametrize("role", ["auditor", "approver", "reconciler"])
def test_a_shell_with_another_role_gets_the_way_to_the_right_one(
    monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.setenv(command.ROLE, "scientist")
    with pytest.raises(UsageError, match=f"pipeline.local env --as {role}"):
        command.require_role("local", role)
    command.require_role("dev", role)
    monkeypatch.setenv(command.ROLE, role)
    command.require_role("local", role)
    monkeypatch.delenv(command.ROLE)
    command.require_role("local", role)


def test_a_reason_that_no_row_has_is_refused_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, configured: config.Config
) -> None:
    monkeypatch.setattr(rejected.config, "load", lambda _: configured)
    reasons = {"near_duplicate": 3, "other_section": 1}
    monkeypatch.setattr(rejected.account, "sagemaker", lambda _: None)
    monkeypatch.setattr(rejected.account, "client", lambda *_: None)
    monkeypatch.setattr(rejected.start, "named", lambda *_: "arn/4x7k2m9p1q0z")
    monkeypatch.setattr(rejected.ran_with, "read", lambda *_: SimpleNamespace(values=VALUES))
    monkeypatch.setattr(rejected.reuse, "origin_in", lambda *_: "4x7k2m9p1q0z")
    prepared = {"counts": {"rejected_by_reason": reasons}}
    monkeypatch.setattr(rejected.documents, "prepared", lambda *_: prepared)
    with pytest.raises(UsageError, match="did you mean 'near_duplicate'"):
        rejected.main(["--env", "local", "4x7k2m9p1q0z", "--reason", "near_duplicates"])
