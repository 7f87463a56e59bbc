"""Run the steps of one execution: a thread per execution and per running step, with the pipeline's
role.

    Executor(account, execution_arn).start()

The execution's document is the only state: the definition as it was started, the resolved
parameters, and one record per step. A step starts when all steps that it requires have succeeded.
After a failure or a stop no further step starts; running steps end by themselves after a failure,
and are stopped by a stop. A retry is a new Executor over the same document: steps that succeeded
keep their results.
"""

import sys
import threading
from collections.abc import Mapping
from typing import Any

from pipeline.local.aws.account import Account
from pipeline.local.aws.errors import Invalid
from pipeline.local.aws.pipelines import notices, step_types
from pipeline.local.aws.pipelines.definition import Definition, Step, parse
from pipeline.local.aws.pipelines.expressions import Scope
from pipeline.local.aws.pipelines.pipelines import SERVICE
from pipeline.local.aws.pipelines.running_step import Acting, RunningStep
from pipeline.local.aws.store import Document, now

MAX_REASON_CHARACTERS = 1300
FAILED = "Step failure: One or multiple steps failed."
RUNNING = ("Starting", "Executing", "Stopping")


class Executor:
    """The thread behind one execution."""

    def __init__(self, account: Account, arn: str) -> None:
        self._account = account
        self._store = account.store
        self._arn = arn
        document = self._document()
        self._role = document["RoleArn"]
        self._definition: Definition = parse(document["_definition"])
        self._parallel = (document.get("ParallelismConfiguration") or {}).get(
            "MaxParallelExecutionSteps"
        ) or sys.maxsize

    def start(self) -> None:
        """Start the execution's thread."""
        threading.Thread(target=self._run, name=f"execution {self._arn}", daemon=True).start()

    def _run(self) -> None:
        try:
            session = self._account.session_of(self._role, SERVICE, "SageMaker-PipelineExecution")
        except Invalid as error:
            self._end(error.message)
            return
        self._walk(Acting(self._account, session))
        self._account.revoke(session)

    def _walk(self, acting: Acting) -> None:
        while not self._account.closing.is_set():
            document = self._document()
            ready = self._ready(document)
            running = [
                name for name, step in document["_steps"].items() if step["StepStatus"] in RUNNING
            ]
            for step in ready[: max(0, self._parallel - len(running))]:
                self._begin(acting, step, document)
                running.append(step.name)
            if not running:
                break
            seen = self._statuses(document) | dict.fromkeys(running, "Starting")
            self._await_change(seen)
        if not self._account.closing.is_set():
            self._end()

    def _await_change(self, seen: Mapping[str, str]) -> None:
        closing = self._account.closing
        self._store.wait(lambda: self._statuses(self._document()) != seen or closing.is_set())

    def _begin(self, acting: Acting, step: Step, document: Document) -> None:
        with self._store.edit("execution", self._arn) as changed:
            changed["_attempts"][step.name] = changed["_attempts"].get(step.name, 0) + 1
            changed["_steps"][step.name] = {
                "StepName": step.name,
                "StepDisplayName": step.document.get("DisplayName") or step.name,
                "StepDescription": step.document.get("Description") or "",
                "StepStatus": "Starting",
                "StartTime": now(),
                "AttemptCount": changed["_attempts"][step.name],
                "Metadata": {},
                "_type": step.type,
            }
        running = RunningStep(acting, self._arn, step, self._scope(document))
        work = step_types.WORK[step.type]
        threading.Thread(
            target=running.run, args=(work,), name=f"step {step.name} of {self._arn}", daemon=True
        ).start()

    def _ready(self, document: Document) -> list[Step]:
        records = document["_steps"]
        if document["PipelineExecutionStatus"] != "Executing":
            return []
        if any(step["StepStatus"] in ("Failed", "Stopped") for step in records.values()):
            return []
        return [
            step
            for step in self._definition.steps.values()
            if step.name not in records
            and step.name in document.get("_selected", self._definition.steps)
            and _may_run(step, records)
        ]

    def _scope(self, document: Document) -> Scope:
        finished = {
            name: step.get("_properties", {})
            for name, step in document["_steps"].items()
            if step["StepStatus"] == "Succeeded"
        }
        return Scope(document["_parameters"], execution_names(document), finished)

    def _end(self, reason: str = "") -> None:
        with self._store.edit("execution", self._arn) as document:
            failed = [
                step for step in document["_steps"].values() if step["StepStatus"] == "Failed"
            ]
            stopped = any(step["StepStatus"] == "Stopped" for step in document["_steps"].values())
            status = "Failed" if reason else "Succeeded"
            if document["PipelineExecutionStatus"] == "Stopping":
                status = "Stopped"
            elif failed or stopped:
                status = "Failed"
                reasons = [step["FailureReason"] for step in failed if step["_type"] == "Fail"]
                reason = (reasons or [FAILED])[0]
            document["PipelineExecutionStatus"] = status
            document["LastModifiedTime"] = now()
            if reason:
                document["FailureReason"] = reason[:MAX_REASON_CHARACTERS]
        notices.ended(document)

    def _document(self) -> Document:
        document = self._store.get("execution", self._arn)
        if document is None:
            raise KeyError(self._arn)
        return document

    @staticmethod
    def _statuses(document: Document) -> dict[str, str]:
        """Return each step's status; all running statuses count as one."""
        return {
            name: "Starting" if step["StepStatus"] in RUNNING else step["StepStatus"]
            for name, step in document["_steps"].items()
        }


def execution_names(document: Document) -> dict[str, Any]:
    """Return the values of `Get: Execution.<name>`."""
    arn = document["PipelineExecutionArn"]
    return {
        "PipelineExecutionArn": arn,
        "PipelineExecutionId": arn.rsplit("/", 1)[-1],
        "PipelineArn": document["PipelineArn"],
        "PipelineName": document["_pipeline"],
        "StartDateTime": step_types.timestamp(document["CreationTime"]),
        "CurrentDateTime": step_types.timestamp(now()),
    }


def _may_run(step: Step, records: Mapping[str, Document]) -> bool:
    if any(records.get(name, {}).get("StepStatus") != "Succeeded" for name in step.requires):
        return False
    if step.branch is None:
        return True
    condition, outcome = step.branch
    return bool(records[condition]["Metadata"]["Condition"]["Outcome"] == str(outcome))
