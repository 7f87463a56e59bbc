"""`pipeline.trace` composes what `steps/trace` parses, and returns its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import trace
from pipeline.command import ROLE
from pipeline.configuration import config
from pipeline.rejected import __main__ as rejected
from steps.trace import arguments
from tests.support.folders import write
from tests.support.histories import Size, made

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("role", ["scientist", "auditor"])
def test_the_settings_are_parsed_by_the_step(role: str) -> None:
    configured = config.load("dev")
    found = arguments.parse([*trace.settings(configured, role), "--filing=x"])
    assert (
        found.evidence_uri
        == "s3://governed-finetune-dev-evidence-111111111111-us-east-1/executions"
    )
    assert found.region == configured.aws.region
    assert found.databricks_host == configured.databricks.host
    assert found.databricks_secret_id == f"governed-finetune-dev/databricks/{role}"


@pytest.mark.parametrize(
    ("held", "role"),
    [(None, "scientist"), ("scientist", "scientist"), ("auditor", "auditor"), ("ci", "scientist")],
)
def test_a_shell_of_the_embedded_environment_reads_with_its_own_secret(
    held: str | None, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ROLE, raising=False)
    if held:
        monkeypatch.setenv(ROLE, held)
    for module in (trace, rejected):
        words = ["4x7k2m9p1q0z"] if module is rejected else []
        assert module._parser().parse_args(words).role == role
        assert module._parser().parse_args([*words, "--as", "auditor"]).role == "auditor"


def command(*words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.trace", "--env", "dev", *words],
        cwd=REPOSITORY,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_steps_exit_code_and_message_are_passed_on(tmp_path: Path) -> None:
    done = command("--filing=x", "--principal=y", cache=tmp_path)
    assert done.returncode == 2
    assert "one of --model, --execution, --table, --filing, --principal was expected" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_question_of_the_step_is_an_option_and_values_stay_values(tmp_path: Path) -> None:
    done = command("--principal=-dash", "--offline", cache=tmp_path)
    assert done.returncode == 2
    assert "an index to answer from is missing" in done.stderr  # so the value was accepted
    help_text = command("--help", cache=tmp_path).stdout
    for kind in ("model", "execution", "table", "version", "filing", "principal", "html", "json"):
        assert f"--{kind}" in help_text
    for name in arguments.FORMATS:
        assert name in help_text


def test_a_value_that_begins_with_a_dash_reaches_the_step(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    write(evidence, made(Size(executions=2, plain=True)).objects)
    words = [f"--evidence-uri={evidence}", f"--index={tmp_path / 'index'}", "--principal=-dash"]
    done = subprocess.run(
        [sys.executable, "-m", "steps.trace", *words],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no principal '-dash'" in done.stderr
