"""What `pipeline.rejected` gives to its step is what the step takes."""

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
    text = rejected._afterwards(configured, given, VALUES, "4x7k2m9p1q0z", refused=True)
    assert "FROM edgar.curated.examples_rejected WHERE execution_id = '4x7k2m9p1q0z'" in text
    assert "python -m pipeline.rejected" in text
    assert "--as auditor" in text
    assert "detail" not in text


@pytest.mark.parametrize("role", ["auditor", "approver", "reconciler"])
def test_a_shell_with_another_role_is_told_how_to_get_it(
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
