"""After all the other journeys, with reruns, rejections, stops, kills and a spot interruption: the
evidence answers, and its audit is clean.
"""

import json
from pathlib import Path

import pytest

from pipeline import command
from steps.governance.documents import membership
from tests.journey.conftest import Environment

pytestmark = pytest.mark.environment

MODEL = "edgar.models.risk_analyst"


def test_the_audit_of_all_records_is_clean(environment: Environment, tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    words = ("--env", "local", "--all", "--deep", "--json", "--report", str(page))
    ended = environment.command("pipeline.audit", *words, role=environment.auditor)
    assert ended.stdout, ended.stderr
    findings = json.loads(ended.stdout)["findings"]
    assert [line for line in findings if line["outcome"] not in ("ok", "note")] == []
    assert ended.returncode == 0
    assert "<h1>clean" in page.read_text()


def test_an_execution_states_what_it_was_billed_for(environment: Environment) -> None:
    [arn, *_] = [
        each["PipelineExecutionArn"]
        for each in environment.client("sagemaker").list_pipeline_executions(
            PipelineName="governed-finetune-local"
        )["PipelineExecutionSummaries"]
        if each["PipelineExecutionStatus"] == "Succeeded"
    ]
    ended = environment.command("pipeline.cost", "--env", "local", "--execution", arn, "--json")
    assert ended.returncode == 0, ended.stderr
    billed = {line["what"]: line for line in json.loads(ended.stdout)["billed"]}
    assert set(billed) == {"Prepare", "Train"}
    assert all(line["dollars"] > 0 for line in billed.values())


def test_trace_names_who_allowed_the_reading_and_which_versions_saw_a_filing(
    environment: Environment, tmp_path: Path
) -> None:
    words = ("--env", "local", "--json", "--index", str(tmp_path))
    ended = environment.command("pipeline.trace", *words, "--model", f"{MODEL}@challenger")
    assert ended.returncode == 0, ended.stderr
    answer = json.dumps(json.loads(ended.stdout))
    for expected in ("edgar.raw.filings", "SELECT", environment.principal("prepare")):
        assert expected in answer
    seen = environment.command("pipeline.trace", *words, "--filing", a_filing(environment))
    assert seen.returncode == 0, seen.stderr
    assert MODEL in json.dumps(json.loads(seen.stdout))
    unknown = environment.command("pipeline.trace", *words, "--filing", "0000000000-00-000000")
    assert unknown.returncode == 2
    assert "the evidence has no filing" in unknown.stderr


def a_filing(environment: Environment) -> str:
    """A filing that gave examples, from one of the stored lists."""
    s3, bucket = environment.client("s3"), "governed-finetune-local-evidence-000000000000-us-east-1"
    stored = s3.list_objects_v2(Bucket=bucket, Prefix="executions/")["Contents"]
    key = next(entry["Key"] for entry in stored if entry["Key"].endswith(".parquet"))
    content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return str(membership.read(content, origin=key)["filing_id"][0])


def test_an_approved_version_has_the_alias_and_the_audit_stays_clean(
    environment: Environment,
) -> None:
    version = environment.workspace.model_versions.list(MODEL)
    newest = max(int(each.version or 0) for each in version)
    words = ("--env", "local", "--model", f"{MODEL}@{newest}", "--alias", "champion")
    hinted = environment.command("pipeline.approve", *words, "--reason", "reviewed")
    assert hinted.returncode == 2, hinted.stdout
    assert "pipeline.local env --as approver" in hinted.stderr
    # Without the hint of the embedded environment it is AWS that refuses
    unnamed = {name: text for name, text in environment.scientist.items() if name != command.ROLE}
    refused = environment.command("pipeline.approve", *words, "--reason", "reviewed", role=unnamed)
    assert refused.returncode == 1, refused.stdout
    done = environment.command(
        "pipeline.approve", *words, "--reason", "-1 % loss, reviewed", role=environment.approver
    )
    assert done.returncode == 0, done.stderr
    audit = environment.command("pipeline.audit", "--env", "local", role=environment.auditor)
    assert audit.returncode == 0, audit.stdout
    assert "alias.approval" in audit.stdout


def approved(environment: Environment, version: int, *words: str) -> str:
    """Decide about a version as approver; return its package."""
    decided = ("--env", "local", "--model", f"{MODEL}@{version}", "--alias", "champion", "--json")
    done = environment.command("pipeline.approve", *decided, *words, role=environment.approver)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["model_package"])


def mismatches(environment: Environment) -> set[str]:
    """The codes of an audit's lines that are not clean."""
    words = ("--env", "local", "--json", "--quiet")
    done = environment.command("pipeline.audit", *words, role=environment.auditor)
    findings = json.loads(done.stdout)["findings"]
    return {line["code"] for line in findings if line["outcome"] not in ("ok", "note")}


def reconciled(environment: Environment) -> str:
    """Repair as reconciler. Other journeys may have left other differences."""
    words = ("--env", "local", "--grace-seconds", "0", "--fix")
    role = environment.scientist | environment.role("reconciler") | {command.ROLE: "reconciler"}
    done = environment.command("pipeline.reconcile", *words, role=role)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_its_package_follows_the_decisions_and_what_somebody_changes_is_found(
    environment: Environment,
) -> None:
    """In SageMaker's own registry, which conf/local.yaml names a group of."""
    versions = environment.workspace.model_versions.list(MODEL)
    newest = max(int(each.version or 0) for each in versions)
    root = environment.client("sagemaker", environment.root)
    reason = ("--reason", "-1 % loss, reviewed")
    arn = approved(environment, newest, *reason)  # as before: it changes nothing
    assert root.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "Approved"
    words = ("--env", "local", "--json", "--model", f"{MODEL}@{newest}")
    traced = json.loads(environment.command("pipeline.trace", *words).stdout)
    assert [each["arn"] for each in traced["model_packages"]] == [arn]
    root.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    assert mismatches(environment) == {"packages.status"}
    assert "the same pipeline.approve again" in reconciled(environment)
    assert approved(environment, newest, *reason) == arn
    assert mismatches(environment) == set()
    assert approved(environment, newest, "--reason", "it is worse", "--revoke") == arn
    root.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert mismatches(environment) == {"packages.status"}
    assert "rejected             ledger.packages" in reconciled(environment)
    assert root.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "Rejected"
    assert mismatches(environment) == set()
