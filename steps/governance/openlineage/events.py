"""OpenLineage run events: who ran when, on which data. Deterministic run ids, and no text.

    step = Step("arn:aws:sagemaker:…/execution/4x7k2m9p1q0z", "train", job="ft-train-4x7k")
    event(step, "COMPLETE", "2026-11-28T10:00:00Z", Content(inputs=[…], outputs=[…]))

The steps send these events live, and `python -m pipeline.trace --format openlineage` makes the same
ones from a record. Both have the same run ids, so a receiver sees one run. An event contains names,
digests, versions and the parameters that `PARAMETERS` lists, and nothing else.

Source: OpenLineage 2-0-2 [https://openlineage.io/spec/2-0-2/OpenLineage.json].
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from steps.governance.names import execution_id

PRODUCER = "urn:governed-finetune"
# Facets by name: the file of their schema and its version.
FACETS = {
    "parent": ("ParentRunFacet", "1-2-0"),
    "processing_engine": ("ProcessingEngineRunFacet", "1-1-1"),
    "executionParameters": ("ExecutionParametersRunFacet", "1-0-0"),
    "errorMessage": ("ErrorMessageRunFacet", "1-0-1"),
    "jobType": ("JobTypeJobFacet", "2-0-4"),
    "sourceCodeLocation": ("SourceCodeLocationJobFacet", "1-1-0"),
    "version": ("DatasetVersionDatasetFacet", "1-0-1"),
    "schema": ("SchemaDatasetFacet", "1-2-0"),
    "symlinks": ("SymlinksDatasetFacet", "1-0-1"),
    "columnLineage": ("ColumnLineageDatasetFacet", "1-2-0"),
}
# The parameters that an event may contain: none of them is a secret, a host or a role.
PARAMETERS = frozenset(
    {
        *("raw_table", "raw_version", "eval_fraction", "curated_table", "epochs", "max_steps"),
        *("learning_rate", "lora_rank", "sequence_length", "seed", "fp8_mode", "optimizer"),
        *("eval_steps", "early_stopping_patience", "max_eval_examples", "determinism"),
        *("merged_export", "compile", "sharding", "base_model", "base_model_revision"),
    }
)
ENGINES = {"prepare": "EMR_SERVERLESS", "train": "SAGEMAKER", "register": "REGISTER_WORKER"}

_RUNS = uuid.UUID("6f0a3c1e-8f43-5d0a-9c55-3b7f0b0b5d11")  # our namespace of run ids (RFC 9562, v5)
Kind = Literal["START", "COMPLETE", "FAIL", "ABORT"]
Name = Literal["prepare", "train", "register"]


@dataclass(frozen=True)
class Step:
    """One step of one execution. `job` names the training job, since a retry is another job."""

    execution_arn: str
    name: Name
    job: str = ""

    @property
    def namespace(self) -> str:
        """The namespace of our jobs: `arn:aws:sagemaker:<region>:<account>`."""
        return self.execution_arn.split(":pipeline/")[0]

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""
        return self.execution_arn.split("/")[1]

    @property
    def run_id(self) -> str:
        """The step's run id (a UUID), the same for every attempt and every projection."""
        return _run_id(self.execution_arn, self.name, self.job)

    @property
    def execution_run_id(self) -> str:
        """The run id of the whole execution."""
        return _run_id(self.execution_arn)


@dataclass(frozen=True)
class Content:
    """What is known of a run: datasets, execution parameters, commit, Spark's version, error class.

    `parameters` may hold anything; an event takes only those that `PARAMETERS` lists.
    """

    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    parameters: Mapping[str, object] = field(default_factory=dict)
    git_commit: str | None = None
    spark_version: str | None = None
    error: str | None = None


def event(step: Step, kind: Kind, time: str, content: Content) -> dict[str, Any]:
    """Return one run event; `time` is RFC 3339 in UTC.

    Raises:
        NameRefused: the step's execution ARN is not one.
    """
    execution_id(step.execution_arn)
    return {
        "eventType": kind,
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": step.run_id, "facets": _run_facets(step, content)},
        "job": {
            "namespace": step.namespace,
            "name": f"{step.pipeline}.{step.name}",
            "facets": _job_facets(step, content),
        },
        "inputs": content.inputs,
        "outputs": content.outputs,
    }


def facet(name: str, /, **content: Any) -> dict[str, dict[str, Any]]:
    """Return `{name: facet}` with the schema that `FACETS` names."""
    schema, version = FACETS[name]
    url = f"https://openlineage.io/spec/facets/{version}/{schema}.json#/$defs/{schema}"
    return {name: {"_producer": PRODUCER, "_schemaURL": url, **content}}


def _run_facets(step: Step, content: Content) -> dict[str, Any]:
    parameters = [
        {"key": key, "value": str(content.parameters[key])}
        for key in sorted(PARAMETERS & content.parameters.keys())
    ]
    found = facet(
        "parent",
        run={"runId": step.execution_run_id},
        job={"namespace": step.namespace, "name": step.pipeline},
    )
    if content.spark_version is not None:
        found |= facet("processing_engine", name="spark", version=content.spark_version)
    if parameters:
        found |= facet("executionParameters", parameters=parameters)
    if content.error is not None:
        found |= facet("errorMessage", message=content.error, programmingLanguage="PYTHON")
    return found


def _job_facets(step: Step, content: Content) -> dict[str, Any]:
    kind = facet("jobType", processingType="BATCH", integration=ENGINES[step.name], jobType="JOB")
    if content.git_commit is None:
        return kind
    # A Software Heritage identifier: the record has a commit, and no address of a repository.
    url = f"swh:1:rev:{content.git_commit}"
    return kind | facet("sourceCodeLocation", type="git", url=url, version=content.git_commit)


def _run_id(*parts: str) -> str:
    return str(uuid.uuid5(_RUNS, "|".join(parts)))
