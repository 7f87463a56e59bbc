"""The life of an environment, as its people live it: each role does what its commands are for.

    live(environment, people)     # `people`: the variables of each role's shell

Runs, a refusal by Gate, a reuse, stops at each step, a retry, a registration that waits, one whose
message became a dead letter, an audit, approvals, a broken mirror, and a tag that conf lost.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipeline.deployment import provenance
from tests.journey.conftest import FAST, Environment, supervised_worker, supervisor_of, wait_for

People = Mapping[str, dict[str, str]]
MODEL = "edgar.models.risk_analyst"
PIPELINE = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/governed-finetune-local"
ARTIFACTS = "governed-finetune-local-artifacts-000000000000-us-east-1"
RECEIVES = 121  # more than compute.yaml's maxReceiveCount
_SET = [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]


def live(environment: Environment, people: People) -> None:
    """Use each role as its people do."""
    _deploy(environment, people["ci"])
    _mirror(environment, people["scientist"])
    first = _run(environment, people["scientist"], *_SET, "--set", "LearningRate=0.004")
    _look(environment, people, first)
    _reuse_and_reject(environment, people["scientist"], first)
    _stop_and_retry(environment, people["scientist"])
    _wait_for_a_schema(environment, people["scientist"])
    _lose_a_message(environment, people)
    _decide(environment, people)


def done(
    environment: Environment, role: Mapping[str, str], module: str, *words: str, code: int = 0
) -> str:
    """Run a command in a role's shell; what it printed."""
    ended = environment.command(module, *words, role={"PIPELINE_ENV": "local", **role})
    assert ended.returncode == code, (module, words, ended.stdout, ended.stderr)
    return ended.stdout


def _run(environment: Environment, role: Mapping[str, str], *words: str, code: int = 0) -> str:
    """The id of an execution that has ended."""
    before = _ids(environment)
    done(environment, role, "pipeline.run", *words, "--follow", code=code)
    (started,) = _ids(environment) - before
    return started


def _ids(environment: Environment) -> set[str]:
    pages = environment.client("sagemaker", environment.root).get_paginator(
        "list_pipeline_executions"
    )
    found = pages.paginate(PipelineName="governed-finetune-local")
    return {
        each["PipelineExecutionArn"].rsplit("/", 1)[-1]
        for page in found
        for each in page["PipelineExecutionSummaries"]
    }


def _start(environment: Environment, role: Mapping[str, str], *words: str) -> str:
    """The ARN of an execution that was started."""
    return done(environment, role, "pipeline.run", *_SET, *words).strip()


def _deploy(environment: Environment, ci: Mapping[str, str]) -> None:
    """Another default and a tag, as conf had them at the last upsert, are put right."""
    sagemaker = environment.client("sagemaker", environment.root)
    names = {"PipelineName": "governed-finetune-local"}
    wanted = sagemaker.describe_pipeline(**names)["PipelineDefinition"]
    earlier = json.loads(wanted)
    (steps,) = (each for each in earlier["Parameters"] if each["Name"] == "MaxSteps")
    steps["DefaultValue"] += 1
    sagemaker.update_pipeline(**names, PipelineDefinition=json.dumps(earlier))
    tags = {
        each["Key"]: each["Value"] for each in sagemaker.list_tags(ResourceArn=PIPELINE)["Tags"]
    }
    listed = f"{tags[provenance.CONFIGURED]} {provenance.key_digest('left')}"
    left = {"left": "by an earlier conf", provenance.CONFIGURED: listed}
    given = [{"Key": key, "Value": value} for key, value in left.items()]
    sagemaker.add_tags(ResourceArn=PIPELINE, Tags=given)
    done(environment, ci, "pipeline.upsert", "--alias", "prod")
    now = {each["Key"] for each in sagemaker.list_tags(ResourceArn=PIPELINE)["Tags"]}
    assert "left" not in now
    assert json.loads(sagemaker.describe_pipeline(**names)["PipelineDefinition"]) == json.loads(
        wanted
    )


def _mirror(environment: Environment, shell: Mapping[str, str]) -> None:
    """A mirror that lost a file and has one too many is made whole by who may mirror."""
    s3 = environment.client("s3", environment.root)
    listed = s3.list_objects_v2(Bucket=ARTIFACTS, Prefix="base-models/")["Contents"]
    (config,) = [each["Key"] for each in listed if each["Key"].endswith("/config.json")]
    stray = config.replace("config.json", "stray.json")
    s3.put_object(Bucket=ARTIFACTS, Key=stray, Body=b"{}")
    s3.delete_object(Bucket=ARTIFACTS, Key=config)
    role = {**shell, **environment.role("mirror")}
    folder = os.fspath(environment.state / "base-model")
    done(environment, role, "pipeline.mirror", "--folder", folder)
    found = s3.list_objects_v2(Bucket=ARTIFACTS, Prefix="base-models/")["Contents"]
    assert {each["Key"] for each in found} == {each["Key"] for each in listed}


def _look(environment: Environment, people: People, run: str) -> None:
    """What a data scientist and an auditor read of a run."""
    scientist, auditor = people["scientist"], people["auditor"]
    page = os.fspath(environment.state.parent / "report.html")
    for module, *words in (
        ("pipeline.runs",),
        ("pipeline.logs", run, "Prepare"),
        ("pipeline.logs", run, "Train"),
        ("pipeline.report", "--execution", run, "--out", page),
        ("pipeline.report", "--registered", "--execution", run, "--out", page),
        ("pipeline.cost", "--execution", run),
    ):
        done(environment, scientist, module, *words)
    done(environment, auditor, "pipeline.rejected", run, "--as", "auditor")
    done(environment, auditor, "pipeline.trace", "--model", f"{MODEL}@1")


def _reuse_and_reject(environment: Environment, scientist: Mapping[str, str], first: str) -> None:
    """The examples of an execution are used again; Gate refuses this model."""
    words = (*_SET[:2], "--set", "MaxEvalLoss=0.01", "--set", f"CuratedFrom={first}")
    rejected = _run(environment, scientist, *words, code=1)
    done(environment, scientist, "pipeline.compare", first, rejected)


def _stop_and_retry(environment: Environment, scientist: Mapping[str, str]) -> None:
    for step in ("Prepare", "Train"):
        started = _start(environment, scientist)
        wait_for(lambda arn=started, step=step: step in environment.steps(arn), seconds=600)
        run = started.rsplit("/", 1)[-1]
        done(environment, scientist, "pipeline.stop", run, "--follow")
    done(environment, scientist, "pipeline.retry", run, "--follow")


def _wait_for_a_schema(environment: Environment, scientist: Mapping[str, str]) -> None:
    """The model's schema vanishes; Register waits and states it, until it is stopped."""
    sagemaker = environment.client("sagemaker")
    environment.admin.schemas.create("vanishing", "edgar")
    started = _start(environment, scientist, "--set", "ModelName=edgar.vanishing.risk_analyst")
    wait_for(lambda: "Train" in environment.steps(started), seconds=600)
    environment.admin.schemas.delete("edgar.vanishing", force=True)

    def waits() -> bool:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=started)
        return "Register waits: " in found.get("PipelineExecutionDescription", "")

    wait_for(waits, seconds=600)
    done(environment, scientist, "pipeline.stop", started.rsplit("/", 1)[-1], "--follow")


def _lose_a_message(environment: Environment, people: People) -> None:
    """The worker is away until its message is a dead letter; a reconciler sends it again."""
    with _halted(environment):
        started = _start(environment, people["scientist"])
        wait_for(lambda: "Register" in environment.steps(started), seconds=600)
        _receive_too_often(environment, environment.role("register"))
        found = done(environment, people["reconciler"], "pipeline.reconcile", code=1)
        assert "dead" in found
        done(environment, people["reconciler"], "pipeline.redrive")
    wait_for(lambda: environment.status(started) == "Succeeded", seconds=600)
    done(environment, people["reconciler"], "pipeline.reconcile", "--grace-seconds", "0")


@contextmanager
def _halted(environment: Environment) -> Iterator[None]:
    """Neither the worker nor its supervisor runs."""
    halted = (supervisor_of(environment.state), supervised_worker(environment.state))
    for process in halted:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(halted):
            process.resume()


def _receive_too_often(environment: Environment, register: dict[str, str]) -> None:
    """As workers that die with the message in their hands."""
    sqs, root = (environment.client("sqs", keys) for keys in (register, environment.root))
    name = "governed-finetune-local-register"
    url = root.get_queue_url(QueueName=name)["QueueUrl"]
    dead = root.get_queue_url(QueueName=f"{name}-dead")["QueueUrl"]

    def dies() -> bool:
        for _ in range(RECEIVES):
            sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
        counts = root.get_queue_attributes(
            QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(counts["Attributes"]["ApproximateNumberOfMessages"]) > 0

    wait_for(dies, seconds=300)


def _decide(environment: Environment, people: People) -> None:
    """An audit of everything, an approval and its end, and a package that somebody approved."""
    done(environment, people["auditor"], "pipeline.audit", "--all", "--deep")
    approval = ("--model", f"{MODEL}@1", "--alias", "champion", "--reason", "reviewed")
    done(environment, people["approver"], "pipeline.approve", *approval)
    done(environment, people["approver"], "pipeline.approve", *approval, "--revoke")
    sagemaker = environment.client("sagemaker", environment.root)
    group = {"ModelPackageGroupName": "governed-finetune-local"}
    (package,) = sagemaker.list_model_packages(**group)["ModelPackageSummaryList"]
    sagemaker.update_model_package(
        ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus="Approved"
    )
    words = ("--fix", "--grace-seconds", "0")
    assert "rejected" in done(environment, people["reconciler"], "pipeline.reconcile", *words)
    done(environment, people["auditor"], "pipeline.audit", "--all")
