"""Compare the sources of an execution's facts with each other.

Train's manifest names Prepare's by sha256, both manifests name the execution, and the loss that
SageMaker read from the log must be the loss in Train's manifest. Image, role and instance type of a
job must be those of the definition with which the execution started. Somebody who changes one of
these records without the others is noticed here. Where the examples of an earlier execution were
used again, `reuse` has the pairs of both executions.

Only SageMaker knows who started an execution and what a job is billed for: these facts have one
source and are not compared.
"""

from steps.governance.errors import IntegrityError
from steps.register import reuse
from steps.register.facts import Facts

_Pair = tuple[str, object, object]  # what is compared, the expected value, the value that was read
_LOSS_TOLERANCE = 1e-3  # nats per token; the metric line has fewer digits than the manifest


def cross_check(facts: Facts) -> None:
    """Compare all pairs.

    Raises:
        IntegrityError: for the first pair that differs.
    """
    pairs = (
        *(_job_pairs, _definition_pairs, _manifest_pairs, _reading_pairs, _loss_pairs),
        reuse.pairs,
    )
    for what, expected, got in (pair for pairs_of in pairs for pair in pairs_of(facts)):
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
        (
            "execution in the prepare job's arguments",
            facts.execution.arn,
            reuse.argument(facts.prepare_job, "--execution-arn"),
        ),
    ]


def _definition_pairs(facts: Facts) -> list[_Pair]:
    """Both jobs had the images, the roles and the instance type of the execution's definition."""
    execution, job = facts.execution, facts.training_job
    prepare, train = execution.arguments("EMRServerless"), execution.arguments("Training")
    wanted = prepare["JobConfig"]["tags"]["image"]  # the image itself is the application's
    digest = facts.image.digest
    return [
        ("image of the prepare job", wanted, facts.image.uri),
        # a tag, as the embedded environment has it, resolves to any digest
        ("digest of the prepare job's image", _digest(wanted) or digest, digest),
        (
            "role of the prepare job",
            prepare["ExecutionRoleArn"],
            facts.prepare_job["executionRole"],
        ),
        (
            "image of the training job",
            train["AlgorithmSpecification"]["TrainingImage"],
            job["AlgorithmSpecification"]["TrainingImage"],
        ),
        ("role of the training job", train["RoleArn"], job["RoleArn"]),
        (
            "instance type of the training job",
            execution.parameter("TrainInstanceType"),
            job["ResourceConfig"]["InstanceType"],
        ),
    ]


def _reading_pairs(facts: Facts) -> list[_Pair]:
    """Each reading was of the table and by the principal that its manifest names."""
    prepared, trained = facts.prepared, facts.trained
    readings = (
        ("Prepare", prepared.reading, prepared.principal, prepared.source.table),
        ("Train", trained.reading, trained.principal, trained.data.table),
    )
    return [
        pair
        for step, reading, principal, table in readings
        if reading is not None  # a manifest of version 1
        for pair in (
            (f"principal of {step}'s reading", principal, reading.principal),
            (f"table of {step}'s reading", table, reading.table),
        )
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


def _digest(image: str) -> str:
    """Return the digest of an image URI, empty for an image by tag."""
    return image.partition("@")[2]
