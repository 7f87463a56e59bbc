"""`upsert` against a server, through unchanged boto3: what it deploys, keeps and prints."""

import json
from typing import Any

import pytest

from pipeline import command, upsert
from pipeline.configuration import config
from pipeline.deployment import deploy, provenance
from pipeline.errors import Refused, UsageError

COMMIT = "c" * 40
WRITES = {"CreatePipeline", "UpdatePipeline", "AddTags", "DeleteTags", "StartPipelineExecution"}


@pytest.fixture(autouse=True)
def at_one_commit(monkeypatch: pytest.MonkeyPatch, compiled: str) -> None:
    """The command sends the golden instead of compiling for 5 s. test_definition compares them."""
    monkeypatch.setattr(upsert, "_compiled", lambda _: compiled)
    monkeypatch.setattr(provenance, "commit", lambda: COMMIT)


def run(*words: str) -> int:
    return command.ended(upsert.main, ["--env", "local", *words])


def stored(client: Any, configured: config.Config) -> dict[str, Any]:
    found: dict[str, Any] = client.describe_pipeline(PipelineName=configured.pipeline.name)
    del found["ResponseMetadata"]
    assert "LastModifiedTime" in found
    return found


def test_the_first_upsert_creates_with_the_configured_role_and_the_tags_of_its_origin(
    service: Any,
    configured: config.Config,
    client: Any,
    compiled: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run() == 0
    found = client.describe_pipeline(PipelineName=configured.pipeline.name)
    assert found["PipelineDefinition"] == compiled
    assert found["RoleArn"] == configured.pipeline.role_arn
    tags = service.tags[found["PipelineArn"]]
    assert tags["git-commit"] == COMMIT
    assert tags["config-sha256"] == provenance.sha256(config.tree(configured))
    assert tags["definition-sha256"] == provenance.sha256(json.loads(compiled))
    assert tags["environment"] == "local"
    assert service.calls.count("StartPipelineExecution") == 0
    assert capsys.readouterr().out.startswith(f"created            {found['PipelineArn']}\n")


def test_two_upserts_of_the_same_commit_change_nothing(
    service: Any, configured: config.Config, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    before = stored(client, configured)
    service.calls.clear()
    capsys.readouterr()
    assert run("--json") == 0
    assert WRITES & set(service.calls) == set()
    assert stored(client, configured) == before
    assert json.loads(capsys.readouterr().out)["action"] == "unchanged"


def test_white_space_and_key_order_are_not_a_difference(
    service: Any, configured: config.Config
) -> None:
    assert run() == 0
    stored = service.pipelines[configured.pipeline.name]
    stored["PipelineDefinition"] = json.dumps(
        json.loads(stored["PipelineDefinition"]), sort_keys=True, indent=3
    )
    service.calls.clear()
    assert run() == 0
    assert "UpdatePipeline" not in service.calls


@pytest.mark.parametrize(
    "key",
    [
        "PipelineDefinition",
        "RoleArn",
        "PipelineDescription",
        "PipelineDisplayName",
        "ParallelismConfiguration",
    ],
)
def test_a_setting_that_was_changed_by_hand_is_put_back(
    key: str,
    service: Any,
    configured: config.Config,
    compiled: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run() == 0
    stored = service.pipelines[configured.pipeline.name]
    before = dict(stored)
    by_hand = {
        "PipelineDefinition": compiled.replace("7.0", "9.9"),
        "RoleArn": "arn:aws:iam::000000000000:role/x",
        "ParallelismConfiguration": {"MaxParallelExecutionSteps": 7},
    }
    stored[key] = by_hand.get(key, "mine")
    assert run("--diff") == 3
    assert run() == 0
    assert {k: v for k, v in stored.items() if k != "LastModifiedTime"} == {
        k: v for k, v in before.items() if k != "LastModifiedTime"
    }
    assert "updated" in capsys.readouterr().out
    assert run("--diff") == 0


def test_the_same_definition_from_another_commit_only_changes_the_tags(
    service: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    monkeypatch.setattr(provenance, "commit", lambda: "f" * 40)
    service.calls.clear()
    capsys.readouterr()
    assert run() == 0
    assert WRITES & set(service.calls) == {"AddTags"}
    assert capsys.readouterr().out.startswith("tagged")


def test_a_lost_answer_to_create_leaves_one_pipeline(service: Any) -> None:
    service.lose_answers_to.add("CreatePipeline")
    assert run() == 0
    assert service.calls.count("CreatePipeline") == 2
    assert len(service.pipelines) == 1


def test_what_is_read_back_must_be_what_was_sent(
    service: Any,
    configured: config.Config,
    client: Any,
    compiled: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = service._stored
    monkeypatch.setattr(
        service,
        "_stored",
        lambda request: kept(request) | {"RoleArn": "arn:aws:iam::000000000000:role/x"},
    )
    with pytest.raises(
        Refused, match="is not what was sent: somebody else deployed at the same time"
    ):
        deploy.deploy(configured, client, compiled)


def test_another_account_than_the_files_is_refused_before_anything_is_written(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    service.account = "999999999999"
    for pipeline in service.pipelines.values():
        pipeline["PipelineArn"] = pipeline["PipelineArn"].replace("000000000000", "999999999999")
        pipeline["RoleArn"] = "changed"
    service.calls.clear()
    assert run() == 1
    assert service.calls == ["DescribePipeline"]
    assert (
        "is for account 000000000000 in us-east-1, but the credentials reach account 999999999999"
        in capsys.readouterr().err
    )


def test_a_refusal_is_one_message_with_what_to_do(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.deny(
        "CreatePipeline",
        "AccessDeniedException",
        "User: x is not authorized to perform: sagemaker:CreatePipeline",
    )
    assert run() == 1
    assert capsys.readouterr().err == (
        "Refused: CreatePipeline governed-finetune-local was refused by AWS: "
        "AccessDeniedException: "
        "User: x is not authorized to perform: sagemaker:CreatePipeline\n"
        "  do  ask for the right in conf/infrastructure/, or sign in as the role that has it\n"
    )
    assert service.calls.count("CreatePipeline") == 1, "a refusal is never retried"


def test_an_unreachable_environment_is_one_message(
    service: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert run() == 1
    error = capsys.readouterr().err
    assert "DescribePipeline governed-finetune-local got no answer from AWS" in error
    assert "is the embedded environment up?" in error


def test_the_local_environment_never_reaches_the_real_service(
    service: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert run() == 1
    assert "environment 'local' needs $AWS_ENDPOINT_URL, got none" in capsys.readouterr().err


def test_a_dry_run_prints_the_definition_and_calls_no_service(
    service: Any, compiled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--dry-run") == 0
    assert capsys.readouterr().out == f"{compiled}\n"
    assert service.calls == []


def test_a_difference_names_the_step_and_the_parameter_and_exits_3(
    service: Any, configured: config.Config, compiled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    assert run("--diff") == 0
    assert capsys.readouterr().out.endswith("governed-finetune-local is deployed as compiled\n")
    deployed = compiled.replace('"DefaultValue": 7.0', '"DefaultValue": 2.5').replace(
        "HF_HUB_OFFLINE", "HF_OFFLINE"
    )
    service.pipelines[configured.pipeline.name]["PipelineDefinition"] = deployed
    service.calls.clear()
    assert run("--diff") == 3
    assert set(service.calls) == {"DescribePipeline", "ListTags"}
    lines = capsys.readouterr().out.splitlines()
    assert "--- deployed: parameter MaxEvalLoss" in lines
    assert '-  "DefaultValue": 2.5,' in lines
    assert '+  "DefaultValue": 7.0,' in lines
    assert "--- deployed: step Train" in lines
    assert not any("step Prepare" in line or "step Gate" in line for line in lines)


def test_what_is_not_deployed_differs_in_everything(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--diff", "--json") == 3
    result = json.loads(capsys.readouterr().out)
    assert result["differs"]
    parts = {"pipeline", "parameter Epochs", "step Register", "step Rejected"}
    assert parts <= set(result["parts"])


def test_placeholders_are_refused_before_the_first_call(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.ended(upsert.main, ["--env", "dev"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "train.image is a placeholder of zeros; give the real one" in shown
    assert "register.databricks_client_id is a placeholder of zeros" in shown
    assert service.calls == []


def test_the_environment_may_be_a_variable_of_the_process_and_has_no_default(
    service: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.ended(upsert.main, []) == 2
    assert "expected --env ENV or $PIPELINE_ENV, got neither" in capsys.readouterr().err
    monkeypatch.setenv("PIPELINE_ENV", "local")
    assert command.ended(upsert.main, []) == 0


def test_a_faulty_option_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as caught:
        upsert.main(["--dry-run", "--diff"])
    assert caught.value.code == 2


@pytest.mark.parametrize("word", ["--diff", "--dry-run"])
def test_an_alias_is_of_a_deployment_only(word: str) -> None:
    with pytest.raises(UsageError, match="expected --alias without --dry-run and --diff"):
        upsert.main(["--env", "local", "--alias", "prod", word])
