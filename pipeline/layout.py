"""Where everything of one execution lies: the only place that composes an S3 URI.

    layout.prepare_manifest(config)                                  # s3://…/executions/{execution_id}/prepare/manifest.json
    layout.of_execution(layout.prepare_manifest(config), "4x7k…")    # the URI of a known execution

A URI names its execution, so two executions at once never share data. When the pipeline is compiled, `{execution_id}`
becomes SageMaker's execution variable (`pipeline.graph.expressions.uri`).
"""

from pipeline.config import Config

EXECUTION = "{execution_id}"


def prepare_manifest(config: Config) -> str:
    """What Prepare wrote, by digest; Train refuses to start if it reads anything else."""
    return f"{evidence(config)}/{EXECUTION}/prepare/manifest.json"


def train_evidence(config: Config) -> str:
    """Under this prefix each training job writes `<job name>/manifest.json`, what it made, by digest; Register checks the
    archive against it. SageMaker may run Train again, as another job."""
    return f"{evidence(config)}/{EXECUTION}/train"


def train_output(config: Config) -> str:
    """Under this prefix SageMaker stores `<job name>/output/model.tar.gz`."""
    return f"s3://{config.storage.artifact_bucket}/executions/{EXECUTION}/train"


def train_checkpoints(config: Config) -> str:
    """What an interrupted or repeated training job of this execution resumes from. A prefix of its own, so that one
    lifecycle rule of the bucket ends them and no archive."""
    return f"s3://{config.storage.artifact_bucket}/checkpoints/{EXECUTION}/train"


def base_model(config: Config) -> str:
    """The mirrored base model: one prefix per revision, never changed after it is written."""
    return f"s3://{config.storage.artifact_bucket}/base-models/{config.train.base_model}/{config.train.base_model_revision}/"


def evidence(config: Config) -> str:
    """The prefix of all executions' records."""
    return f"s3://{config.storage.evidence_bucket}/executions"


def of_execution(uri: str, execution_id: str) -> str:
    """The URI for an execution that exists."""
    return uri.replace(EXECUTION, execution_id)
