"""Read the facts of an execution from the services that own them, and compare them.

    facts = FactReader(region, evidence_uri=…, truth=truth, limits=limits).read(execution_arn)

SageMaker may have run Train more than once: the manifest of the job that SageMaker names is read.
All calls are reads.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from steps.governance import aws
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Starter
from steps.governance.errors import IntegrityError
from steps.governance.evidence import Evidence
from steps.governance.names import execution_id
from steps.register.cross_check import cross_check
from steps.register.delivery.answer_shape import shaped
from steps.register.delivery.sagemaker_truth import Truth
from steps.register.facts import AppliedImage, Execution, Facts
from steps.register.limits import Limits, require_own_steps
from steps.register.reuse import Origin

_PREPARED = "prepare/manifest.json"


class FactReader:
    """Reads SageMaker, EMR Serverless and the evidence bucket."""

    def __init__(self, region: str, *, evidence_uri: str, truth: Truth, limits: Limits) -> None:
        self._sagemaker = aws.client("sagemaker", region)
        self._emr = aws.client("emr-serverless", region)
        self._evidence, self._evidence_uri, self._truth = Evidence(region), evidence_uri, truth
        self._limits = limits

    def read(self, execution_arn: str) -> Facts:
        """Read all sources and compare them.

        Raises:
            UsageError: a parameter of the execution is one that the registry refuses, it or the
                training job is beyond a ceiling of this deployment, or another execution ran a
                step.
            IntegrityError: the sources contradict each other.
            MalformedAnswer: an answer lacks a field; it is read again later.
        """
        execution = self.execution(execution_arn)
        execution.require_registrable()
        self._limits.require_within(execution)
        steps = self._truth.steps(execution_arn)
        with shaped(f"list the steps of {execution_arn}"):
            require_own_steps(execution, steps)
            metadata = [step.get("Metadata", {}) for step in steps]
            training_job_arn = str(_only(metadata, "TrainingJob")["Arn"])
        training_job = self._allowed_job(training_job_arn)
        prepare_job = self._prepare_job(_only(metadata, "EMRServerless"))
        image = self._image(prepare_job)
        trained_key = f"train/{training_job_arn.rsplit('/', 1)[-1]}/manifest.json"
        content = self._read(execution_arn, _PREPARED)
        prepared = Prepared.from_bytes(content, origin=_PREPARED)
        trained = self._read(execution_arn, trained_key)
        facts = Facts(
            execution=execution,
            prepare_job=prepare_job,
            image=image,
            training_job=training_job,
            prepared=prepared,
            prepared_sha256=hashlib.sha256(content).hexdigest(),
            trained=Trained.from_bytes(trained, origin=trained_key),
            trained_sha256=hashlib.sha256(trained).hexdigest(),
            origin=self._origin(prepared),
        )
        with shaped(f"describe the jobs of {execution_arn}"):
            cross_check(facts)
            _ = training_job["ModelArtifacts"]["S3ModelArtifacts"]
        return facts

    def _origin(self, prepared: Prepared) -> Origin | None:
        """Return the facts of the execution whose examples were used again."""
        if prepared.reused is None:
            return None
        arn = prepared.reused.execution_arn
        content, execution = self._read(arn, _PREPARED), self.execution(arn)
        steps = self._truth.steps(arn)
        with shaped(f"list the steps of {arn}"):
            metadata = [step.get("Metadata", {}) for step in steps]
        job = self._prepare_job(_only(metadata, "EMRServerless"))
        return Origin(
            execution=execution,
            prepare_job=job,
            image=self._image(job),
            prepared=Prepared.from_bytes(content, origin=_PREPARED),
            prepared_sha256=hashlib.sha256(content).hexdigest(),
        )

    def execution(self, execution_arn: str) -> Execution:
        """Return the execution's definition, parameters and start time."""
        doing = f"describe execution {execution_arn}"
        with shaped(doing), aws.translated(doing):
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
            document = json.loads(text)
            return Execution(
                arn=execution_arn,
                pipeline_arn=described["PipelineArn"],
                definition=document,
                definition_sha256=hashlib.sha256(text.encode()).hexdigest(),
                started_at=described["CreationTime"],
                started_by=starter(described.get("CreatedBy", {})),
                pipeline_version_id=described.get("PipelineVersionId"),
                parameters=_defaults(document) | given,
            )

    def _allowed_job(self, arn: str) -> Mapping[str, Any]:
        training_job = self._training_job(arn)
        with shaped(f"describe training job {arn}"):
            self._limits.require_job_within(training_job)
        return training_job

    def _training_job(self, arn: str) -> Mapping[str, Any]:
        name = arn.rsplit("/", 1)[-1]
        doing = f"describe training job {name}"
        with shaped(doing), aws.translated(doing):
            return dict(self._sagemaker.describe_training_job(TrainingJobName=name))

    def _prepare_job(self, metadata: Mapping[str, str]) -> Mapping[str, Any]:
        doing = f"describe job run {metadata.get('JobRunId')}"
        with shaped(doing), aws.translated(doing):
            answer = self._emr.get_job_run(
                applicationId=metadata["ApplicationId"], jobRunId=metadata["JobRunId"]
            )
            return dict(answer["jobRun"])

    def _image(self, job: Mapping[str, Any]) -> AppliedImage:
        """Return the job's image as EMR Serverless resolved it.

        With applicationLevelDigestResolution the digest may be the application's and not the job's
        [unverified], so the application is asked if the job states none.
        """
        applied = job.get("imageConfiguration", {})
        if "resolvedImageDigest" not in applied:
            name = job.get("applicationId")
            doing = f"describe application {name}"
            with shaped(doing), aws.translated(doing):
                answer = self._emr.get_application(applicationId=name)
                applied = answer["application"].get("imageConfiguration", {})
        if not {"imageUri", "resolvedImageDigest"} <= applied.keys():
            raise IntegrityError(
                f"the image of {job.get('arn')} is not known",
                expected="imageUri and resolvedImageDigest of the job run or of its application",
                got=", ".join(sorted(applied)) or "neither",
                do="create the application with the image of Prepare, as conf/infrastructure does",
            )
        return AppliedImage(applied["imageUri"], applied["resolvedImageDigest"])

    def _read(self, execution_arn: str, key: str) -> bytes:
        return self._evidence.read(f"{self._evidence_uri}/{execution_id(execution_arn)}/{key}")


def _defaults(definition: Mapping[str, Any]) -> dict[str, str]:
    return {
        parameter["Name"]: str(parameter["DefaultValue"])
        for parameter in definition.get("Parameters", [])
        if "DefaultValue" in parameter
    }


def starter(user: Mapping[str, Any]) -> Starter:
    """Return SageMaker's UserContext as the record has it.

    Who started the execution outside of Studio is an IAM identity, in Studio also a profile.
    """
    return Starter(
        arn=user.get("IamIdentity", {}).get("Arn"), user_profile=user.get("UserProfileArn")
    )


def _only(metadata: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the metadata of the one step of this kind."""
    found = [entry[kind] for entry in metadata if kind in entry]
    if len(found) != 1:
        raise IntegrityError(
            f"the execution has no single {kind} step", expected="one", got=str(len(found))
        )
    return dict(found[0])
