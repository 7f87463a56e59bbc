"""A long audit shows on stderr how many records are done of all; results stay on stdout alone."""

import json

import pytest

from pipeline import audit, command
from steps.audit.__main__ import main
from steps.governance.commands import pace
from tests.steps.audit.support.world import World

WORDS = {
    "evidence_uri": "--evidence-uri",
    "signing_public_key": "--signing-public-key",
    "approval_public_key": "--approval-public-key",
    "pipeline_name": "--pipeline-name",
    "model_name": "--model-name",
    "databricks_host": "--databricks-host",
    "databricks_secret_id": "--databricks-secret-id",
    "region": "--region",
    "retention_days": "--retention-days",
    "object_lock_days": "--object-lock-days",
}


def audited(world: World, *more: str) -> None:
    settings = vars(world.settings())
    words = [word for name, option in WORDS.items() for word in (option, str(settings[name]))]
    assert main([*words, "--all", "--json", *more]) == 0


def test_a_long_audit_shows_how_many_records_are_done(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    audited(world)
    assert "records" not in capfd.readouterr().err, "it takes less than three seconds"
    monkeypatch.setattr(pace, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(pace, "LINE_SECONDS", 0.0)
    audited(world)
    printed = capfd.readouterr()
    every = len(world.entries)
    for doing in ("reading", "checking"):
        assert f"{doing} {every} of {every} records · " in printed.err
    assert json.loads(printed.out)["exit_code"] == 0
    audited(world, "--quiet")
    printed = capfd.readouterr()
    assert "records" not in printed.err
    assert json.loads(printed.out)["exit_code"] == 0


def test_the_command_passes_quiet_on() -> None:
    for words, expected in ((["--all", "--quiet"], ["--all", "--quiet"]), (["--all"], ["--all"])):
        assert audit._chosen(audit._parser().parse_args(words)) == expected
    assert not command.quiet()
