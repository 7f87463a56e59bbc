"""The S3 URIs of the files of one execution. Only this module composes them.

    template = layout.prepare_manifest(config)
    # "s3://…/executions/{execution_id}/prepare/manifest.json"
    layout.of_execution(template, "4x7k…")    # the URI for a known execution

A URI contains the id of its execution, so two executions at the same time never share data. The
compiled definition has SageMaker's execution variable instead of `{execution_id}`
(`pipeline.graph.expressions.uri`).
"""

from pipeline.configuration.config import Config

EXECUTION = "{execution_id}"


def prepare_manifest(config: Config) -> str:
    """The manifest of what Prepare wrote, with digests. Train refuses to train on anything else."""
    return f"{evidence(config)}/{EXECUTION}/prepare/manifest.json"


def train_evidence(config: Config) -> str:
    """The prefix of `<job name>/manifest.json`, which each training job writes: the digests of its
    results. Register checks the archive against it. SageMaker may run Train again, as another job.
    """
    return f"{evidence(config)}/{EXECUTION}/train"


def train_output(config: Config) -> str:
    """The prefix under which SageMaker stores `<job name>/output/model.tar.gz`."""
    return f"s3://{config.storage.artifact_bucket}/executions/{EXECUTION}/train"


def train_checkpoints(config: Config) -> str:
    """The checkpoints from which an interrupted or repeated training job of this execution resumes.

    They have a separate prefix, so that a lifecycle rule of the bucket deletes them and no archive.
    """
    return f"s3://{config.storage.artifact_bucket}/checkpoints/{EXECUTION}/train"


def base_model(config: Config) -> str:
    """The prefix of the mirrored base model at one revision. A whole mirror never changes."""
    model = f"{config.train.base_model}/{config.train.base_model_revision}"
    return f"s3://{config.storage.artifact_bucket}/base-models/{model}/"


def evidence(config: Config) -> str:
    """The prefix of the records of all executions."""
    return f"s3://{config.storage.evidence_bucket}/executions"


def ledger(config: Config) -> str:
    """The prefix of the ledger's entries: one for each record and each approval."""
    return f"s3://{config.storage.evidence_bucket}/ledger"


def heartbeat(config: Config) -> str:
    """The object that the register worker overwrites while it works. It is not evidence."""
    return f"s3://{config.storage.artifact_bucket}/workers/{config.pipeline.name}.json"


def of_execution(uri: str, execution_id: str) -> str:
    """Return the URI for one execution."""
    return uri.replace(EXECUTION, execution_id)
