"""Compare the sources of an execution's facts with each other.

Train's manifest names Prepare's by sha256, both manifests name the execution, and the loss that
SageMaker read from the log must be the loss in Train's manifest. Somebody who changes one of these
records without the others is noticed here.
"""

from steps.governance.errors import IntegrityError
from steps.register.facts import Facts

_Pair = tuple[str, object, object]  # what is compared, the expected value, the value that was read
_LOSS_TOLERANCE = 1e-3  # nats per token; the metric line has fewer digits than the manifest


def cross_check(facts: Facts) -> None:
    """Compare all pairs.

    Raises:
        IntegrityError: for the first pair that differs.
    """
    for what, expected, got in [*_job_pairs(facts), *_manifest_pairs(facts), *_loss_pairs(facts)]:
        if expected != got:
            raise IntegrityError(
                f"the execution's records contradict each other: {what}",
                expected=str(expected)[:200],
                got=str(got)[:200],
                do="start a new execution; find out who changed a record",
            )


def _job_pairs(facts: Facts) -> list[_Pair]:
    """Both jobs ended well, and the training job is of this execution."""
    job = facts.training_job
    hyperparameters = job.get("HyperParameters", {})
    return [
        ("state of the training job", "Completed", job["TrainingJobStatus"]),
        ("state of the prepare job", "SUCCESS", facts.prepare_job["state"]),
        (
            "execution in the training job's hyperparameters",
            facts.execution.arn,
            hyperparameters.get("execution_arn"),
        ),
    ]


def _manifest_pairs(facts: Facts) -> list[_Pair]:
    """The manifests are canonical, of this execution and job, and of the same tables."""
    prepared, trained, arn = facts.prepared, facts.trained, facts.execution.arn
    data, target = trained.data, prepared.target
    job_name = facts.training_job["TrainingJobName"]
    return [
        ("bytes of Prepare's manifest", prepared.sha256, facts.prepared_sha256),
        ("bytes of Train's manifest", trained.sha256, facts.trained_sha256),
        ("execution in Prepare's manifest", arn, prepared.execution_arn),
        ("execution in Train's manifest", arn, trained.execution_arn),
        (
            "training job in Train's manifest",
            job_name,
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
    ]


def _loss_pairs(facts: Facts) -> list[_Pair]:
    """The loss that SageMaker read from the log passes Gate's bound, and is the manifest's."""
    listed = facts.training_job.get("FinalMetricDataList", [])
    metrics = {entry["MetricName"]: float(entry["Value"]) for entry in listed}
    loss = metrics.get("eval:loss", float("nan"))  # nan fails both comparisons
    difference = abs(loss - facts.trained.metrics.eval_loss)
    return [
        ("eval loss within the gate", True, loss <= facts.execution.max_eval_loss),
        ("eval loss in log and manifest", True, difference <= _LOSS_TOLERANCE),
    ]
