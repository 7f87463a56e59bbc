"""Executions with their jobs, their evidence, their messages and their records."""

from collections.abc import Iterator

from steps.governance.errors import Unavailable
from steps.reconcile.differences import Difference, Remedy
from steps.reconcile.inventory import Inventory
from steps.reconcile.sources.jobs import Execution, is_execution_of
from steps.reconcile.sources.queues import Letter

_RUNNING_JOBS = {
    "InProgress", "Stopping", "SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING",
    "CANCELLING",
}  # fmt: skip
_SUCCEEDED = {"Completed", "SUCCESS"}
_OPEN = ("Executing", "Stopping")


def execution_jobs(inventory: Inventory) -> Iterator[Difference]:
    """No job runs on after its execution, and each succeeded step has a job that succeeded."""
    for execution in _settled(inventory):
        for kind, name, status in _jobs(inventory, execution):
            step = next(each for each in execution.steps if kind in each.metadata)
            if status in _RUNNING_JOBS:
                yield Difference(
                    "execution.jobs",
                    execution.id,
                    f"{name} is {status}, and the execution {execution.status}",
                    execution=execution.id,
                    advice="stop the job",
                )
            elif step.status == "Succeeded" and status not in _SUCCEEDED:
                yield Difference(
                    "execution.jobs",
                    execution.id,
                    f"step {step.name} is Succeeded, and {name} is {status}",
                    execution=execution.id,
                    advice="run pipeline.audit; a job's description is kept by AWS",
                )


def jobs_evidence(inventory: Inventory) -> Iterator[Difference]:
    """Each job that succeeded left its manifest, and each folder of evidence has its execution."""
    for execution in _settled(inventory):
        expected = {"EMRServerless": "prepare/manifest.json"}
        if training := execution.job("TrainingJob"):
            job = str(training.get("Arn", "")).rsplit("/", 1)[-1]
            expected["TrainingJob"] = f"train/{job}/manifest.json"
        for step in execution.steps:
            for kind, document in expected.items():
                done = kind in step.metadata and step.status == "Succeeded"
                if done and not inventory.evidence.has(execution.id, document):
                    yield Difference(
                        "jobs.evidence",
                        execution.id,
                        f"step {step.name} is Succeeded, and {document} is missing",
                        execution=execution.id,
                        advice="run pipeline.audit; evidence is written by its own job only",
                    )
    for folder in sorted(inventory.evidence.folders - inventory.executions.keys()):
        if inventory.chosen(folder):
            yield Difference(
                "jobs.evidence",
                folder,
                "there is evidence, and SageMaker lists no such execution",
                execution=folder,
                advice="find out who removed the execution",
            )


def step_queue(inventory: Inventory) -> Iterator[Difference]:
    """Each Register step that waits has a message, and no message is in the dead-letter queue."""
    dead: set[str] = set()
    for letter in inventory.letters:
        found = _dead_letter(inventory, letter)
        if found is not None:
            dead.add(found.execution)
            yield found
    if inventory.arguments.redrive:
        return
    if hidden := inventory.hidden_letters:
        raise Unavailable(
            "the dead-letter queue cannot be compared whole",
            expected="every message visible",
            got=f"{hidden} that another program has received",
            do="run again in two minutes",
        )
    for execution in inventory.executions.values():
        step = execution.register
        if step is None or step.status not in _OPEN or execution.id in dead:
            continue
        if step.metadata["Callback"].get("SqsQueueUrl") != inventory.arguments.queue_url:
            continue  # of an earlier deployment: the worker would refuse it
        waits = inventory.chosen(execution.id) or inventory.arguments.model is not None
        held = execution.id in inventory.evidence.held
        if waits and not held and not inventory.waiting and inventory.is_older(step.started):
            yield Difference(
                "step.queue",
                execution.id,
                f"step {step.name} is {step.status}, and has no message",
                Remedy.WORKER,
                execution.id,
            )


def step_record(inventory: Inventory) -> Iterator[Difference]:
    """Each Register step that succeeded has a record."""
    for execution in _settled(inventory):
        if execution.registered and not inventory.evidence.has(
            execution.id, "register/record.json"
        ):
            yield Difference(
                "step.record",
                execution.id,
                "Register is Succeeded, and has no record",
                execution=execution.id,
                advice="somebody else answered, or evidence was removed: run pipeline.audit",
            )


def _settled(inventory: Inventory) -> Iterator[Execution]:
    for execution in inventory.executions.values():
        if inventory.chosen(execution.id) and inventory.settled(execution.id):
            yield execution


def _jobs(inventory: Inventory, execution: Execution) -> Iterator[tuple[str, str, str]]:
    """Yield the kind of step, a name for the reader and the status of each job."""
    jobs = inventory.services.jobs
    if run := execution.job("EMRServerless"):
        name = f"job run {run.get('JobRunId')}"
        yield "EMRServerless", name, jobs.run_state(run)
    if training := execution.job("TrainingJob"):
        arn = str(training.get("Arn", ""))
        yield "TrainingJob", f"training job {arn.rsplit('/', 1)[-1]}", jobs.training_status(arn)


def _dead_letter(inventory: Inventory, letter: Letter) -> Difference | None:
    execution = _of_letter(inventory, letter)
    if execution is None:
        if inventory.arguments.execution or inventory.arguments.model:
            return None
        return Difference(
            "step.queue",
            letter.id,
            "the dead-letter queue has a message that SageMaker does not confirm",
            advice="find out who sent it; it ends with the queue's retention",
        )
    if inventory.arguments.execution not in (None, execution.id):
        return None
    if execution.id in inventory.evidence.held:
        return None
    status = execution.register.status if execution.register else "unknown"
    return Difference(
        "step.queue",
        execution.id,
        f"Register is {status}, and its message is in the dead-letter queue",
        Remedy.REDRIVE,
        execution.id,
    )


def _of_letter(inventory: Inventory, letter: Letter) -> Execution | None:
    """Return the execution of a letter if SageMaker lists the letter's token for it."""
    if not is_execution_of(letter.arn, inventory.arguments.pipeline_name):
        return None
    identity = letter.arn.rsplit("/", 1)[-1]
    return inventory.executions[identity] if inventory.is_of(letter, identity) else None
