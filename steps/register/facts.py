"""What there is to know about an execution before its model is registered: parameters, jobs, manifests, all re-read
at their sources.

    facts = FactReader(region, evidence_uri=…, truth=truth).read(execution_arn)

SageMaker may have run Train more than once: the manifest read is the one of the job that it names. The manifests are
bound to each other and to the jobs: Train's names Prepare's by sha256, both name the execution, and
the loss that SageMaker read from the log is the loss that Train wrote down. All calls are reads.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steps.governance.errors import IntegrityError, UsageError
from steps.governance.evidence import Evidence
from steps.governance.manifest import Prepared, Trained
from steps.governance.names import UcName, checked_alias, execution_id, written_name
from steps.register import aws
from steps.register.delivery.sagemaker_truth import Truth

_LOSS_TOLERANCE = 1e-3  # nats per token; the metric line has fewer digits than the manifest


@dataclass(frozen=True)
class Execution:
    """The execution as it was started: parameters given, merged with the definition's defaults."""

    arn: str
    pipeline_arn: str
    definition_sha256: str
    started_at: datetime
    parameters: Mapping[str, str]

    def name(self, parameter: str) -> UcName:
        """A parameter that is the Unity Catalog name of what is written, checked here once more."""
        return written_name(self.parameter(parameter))

    @property
    def alias(self) -> str:
        """The alias that the new version gets.

        Raises:
            NameRefused: the registry would refuse it.
        """
        return checked_alias(self.parameter("ModelAlias"))

    @property
    def max_eval_loss(self) -> float:
        """Gate's bound, in nats per target token.

        Raises:
            UsageError: it is not a number.
        """
        text = self.parameter("MaxEvalLoss")
        try:
            return float(text)
        except ValueError:
            raise UsageError(
                "the parameter MaxEvalLoss cannot be used",
                expected="a number",
                got=repr(text)[:100],
            ) from None

    def require_registrable(self) -> None:
        """Check what the registry would refuse. SageMaker Studio checks none of it.

        Raises:
            UsageError: the model's name, its alias or the bound cannot be used.
        """
        self.name("ModelName")
        _ = self.alias, self.max_eval_loss

    def parameter(self, name: str) -> str:
        """A parameter's value.

        Raises:
            UsageError: the pipeline has no such parameter.
        """
        if name not in self.parameters:
            raise UsageError(
                f"the pipeline's definition has no parameter {name}", do="upsert the pipeline again"
            )
        return self.parameters[name]


@dataclass(frozen=True)
class Facts:
    """An execution, its two jobs as their services describe them, and the two manifests with their bytes' sha256."""

    execution: Execution
    prepare_job: Mapping[str, Any]
    training_job: Mapping[str, Any]
    prepared: Prepared
    prepared_sha256: str
    trained: Trained
    trained_sha256: str


class FactReader:
    """Reads SageMaker, EMR Serverless and the evidence bucket."""

    def __init__(self, region: str, *, evidence_uri: str, truth: Truth) -> None:
        self._sagemaker, self._emr = (
            aws.client("sagemaker", region),
            aws.client("emr-serverless", region),
        )
        self._evidence, self._evidence_uri, self._truth = Evidence(region), evidence_uri, truth

    def read(self, execution_arn: str) -> Facts:
        """Gather and cross-check.

        Raises:
            UsageError: a parameter of the execution is one that the registry refuses.
            IntegrityError: the sources contradict each other.
        """
        execution = self.execution(execution_arn)
        execution.require_registrable()
        metadata = [step.get("Metadata", {}) for step in self._truth.steps(execution_arn)]
        training_job = self._training_job(_only(metadata, "TrainingJob")["Arn"])
        prepare_job = self._prepare_job(_only(metadata, "EMRServerless"))
        prepared_key, trained_key = (
            "prepare/manifest.json",
            f"train/{training_job['TrainingJobName']}/manifest.json",
        )
        prepared = self._read(execution_arn, prepared_key)
        trained = self._read(execution_arn, trained_key)
        facts = Facts(
            execution=execution,
            prepare_job=prepare_job,
            training_job=training_job,
            prepared=Prepared.from_bytes(prepared, origin=prepared_key),
            prepared_sha256=hashlib.sha256(prepared).hexdigest(),
            trained=Trained.from_bytes(trained, origin=trained_key),
            trained_sha256=hashlib.sha256(trained).hexdigest(),
        )
        _cross_check(facts)
        return facts

    def execution(self, execution_arn: str) -> Execution:
        """The execution's own record: definition, parameters, start."""
        with aws.translated(f"describe execution {execution_arn}"):
            described = self._sagemaker.describe_pipeline_execution(
                PipelineExecutionArn=execution_arn
            )
            definition = self._sagemaker.describe_pipeline_definition_for_execution(
                PipelineExecutionArn=execution_arn
            )
            pages = self._sagemaker.get_paginator(
                "list_pipeline_parameters_for_execution"
            ).paginate(PipelineExecutionArn=execution_arn)
            given = {
                entry["Name"]: entry["Value"]
                for page in pages
                for entry in page["PipelineParameters"]
            }
        text = definition["PipelineDefinition"]
        defaults = {
            parameter["Name"]: str(parameter["DefaultValue"])
            for parameter in json.loads(text).get("Parameters", [])
            if "DefaultValue" in parameter
        }
        return Execution(
            arn=execution_arn,
            pipeline_arn=described["PipelineArn"],
            definition_sha256=hashlib.sha256(text.encode()).hexdigest(),
            started_at=described["CreationTime"],
            parameters=defaults | given,
        )

    def _training_job(self, arn: str) -> Mapping[str, Any]:
        name = arn.rsplit("/", 1)[-1]
        with aws.translated(f"describe training job {name}"):
            return dict(self._sagemaker.describe_training_job(TrainingJobName=name))

    def _prepare_job(self, metadata: Mapping[str, str]) -> Mapping[str, Any]:
        with aws.translated(f"describe job run {metadata['JobRunId']}"):
            answer = self._emr.get_job_run(
                applicationId=metadata["ApplicationId"], jobRunId=metadata["JobRunId"]
            )
        return dict(answer["jobRun"])

    def _read(self, execution_arn: str, key: str) -> bytes:
        return self._evidence.read(f"{self._evidence_uri}/{execution_id(execution_arn)}/{key}")


def _only(metadata: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    found = [entry[kind] for entry in metadata if kind in entry]
    if len(found) != 1:
        raise IntegrityError(
            f"the execution has no single {kind} step", expected="one", got=str(len(found))
        )
    return dict(found[0])


def _cross_check(facts: Facts) -> None:
    """Each pair must be equal; the first that is not is told."""
    job, trained, prepared = facts.training_job, facts.trained, facts.prepared
    arn, data, target = facts.execution.arn, facts.trained.data, facts.prepared.target
    loss = {
        entry["MetricName"]: float(entry["Value"]) for entry in job.get("FinalMetricDataList", [])
    }.get("eval:loss", float("nan"))
    pairs = [
        ("bytes of Prepare's manifest", prepared.sha256, facts.prepared_sha256),
        ("bytes of Train's manifest", trained.sha256, facts.trained_sha256),
        ("state of the training job", "Completed", job["TrainingJobStatus"]),
        ("state of the prepare job", "SUCCESS", facts.prepare_job["state"]),
        (
            "execution in the training job's hyperparameters",
            arn,
            job.get("HyperParameters", {}).get("execution_arn"),
        ),
        ("execution in Prepare's manifest", arn, prepared.execution_arn),
        ("execution in Train's manifest", arn, trained.execution_arn),
        (
            "training job in Train's manifest",
            job["TrainingJobName"],
            trained.training_job.rsplit("/", 1)[-1],
        ),
        ("Prepare's manifest as Train saw it", facts.prepared_sha256, data.manifest_sha256),
        (
            "table trained on",
            (target.table, target.table_id, target.version),
            (data.table, data.table_id, data.version),
        ),
        ("raw table", facts.execution.parameter("RawTable"), prepared.source.table),
        ("curated table", facts.execution.parameter("CuratedTable"), target.table),
        ("eval loss within the gate", True, loss <= facts.execution.max_eval_loss),
        (
            "eval loss in log and manifest",
            True,
            abs(loss - trained.metrics.eval_loss) <= _LOSS_TOLERANCE,
        ),
    ]
    for what, expected, got in pairs:
        if expected != got:
            raise IntegrityError(
                f"the execution's records contradict each other: {what}",
                expected=str(expected)[:200],
                got=str(got)[:200],
                do="start a new execution; find out who changed a record",
            )
