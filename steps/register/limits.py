"""The ceilings of this deployment: no execution exceeds them, and no parameter changes them.

    limits.require_within(execution)
    limits.require_job_within(training_job)
    require_own_steps(execution, steps)

They are the worker's own arguments, made from `limits:` of the configuration by
pipeline/register_worker.py. An execution could have started with a definition that somebody
changed, or without its first check, so the worker checks again, before it makes anything. Selective
execution runs some steps and takes the results of the others from another execution, and no policy
of AWS can refuse it, so the worker does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.governance.errors import UsageError

if TYPE_CHECKING:  # the worker's --help must not wait for what facts imports
    from steps.register.facts import Execution

# What ListPipelineExecutionSteps states of a step whose work another execution did
_REUSED = {"SelectiveExecutionResult", "CacheHitResult"}


@dataclass(frozen=True)
class Limits:
    """The highest MaxEvalLoss (nats per target token), the instance types that Train may have, its
    longest run time (seconds), and the aliases that a run may set."""

    max_eval_loss: float
    instance_types: tuple[str, ...]
    max_runtime_seconds: int
    aliases: tuple[str, ...]

    def require_within(self, execution: "Execution") -> None:
        """Check the execution's parameters.

        Raises:
            UsageError: one is beyond a ceiling.
        """
        if not 0 < execution.max_eval_loss <= self.max_eval_loss:  # NaN is not
            raise _beyond(
                "MaxEvalLoss", f"at most {self.max_eval_loss:g}", f"{execution.max_eval_loss:g}"
            )
        if execution.alias not in self.aliases:
            raise _beyond("ModelAlias", f"one of {' '.join(self.aliases)}", execution.alias)

    def require_job_within(self, job: Mapping[str, Any]) -> None:
        """Check the training job as SageMaker describes it: DescribeTrainingJob's answer.

        Raises:
            UsageError: its instance type or its run time is beyond a ceiling.
        """
        instance = job["ResourceConfig"].get("InstanceType")
        if instance not in self.instance_types:
            raise _beyond("instance type of Train", "an allowed one", str(instance))
        runtime = job["StoppingCondition"].get("MaxRuntimeInSeconds")
        if not (isinstance(runtime, int) and runtime <= self.max_runtime_seconds):
            raise _beyond(
                "run time of Train", f"at most {self.max_runtime_seconds} s", f"{runtime} s"
            )


def require_own_steps(execution: "Execution", steps: Sequence[Mapping[str, Any]]) -> None:
    """Check that every step ran in this execution, and that every condition was passed.

    `steps` are SageMaker's, of ListPipelineExecutionSteps.

    Raises:
        UsageError: a step has the result of another execution, or a condition of the definition
            was not evaluated or did not hold.
    """
    reused = [step["StepName"] for step in steps if step.keys() & _REUSED]
    passed = {
        step["StepName"]: step.get("Metadata", {}).get("Condition", {}).get("Outcome")
        for step in steps
        if step["StepStatus"] == "Succeeded"
    }
    closed = [name for name in execution.conditions if passed.get(name) != "True"]
    if reused or closed:
        raise UsageError(
            "this execution did not run every step itself; nothing was registered",
            expected="all steps in one execution, and every condition passed",
            got=", ".join(
                [f"{name} of another execution" for name in reused]
                + [f"{name} not passed" for name in closed]
            ),
            do="start an execution of the whole pipeline",
        )


def _beyond(what: str, expected: str, got: str) -> UsageError:
    return UsageError(
        f"{what} is beyond a ceiling of this deployment; nothing was registered",
        expected=expected,
        got=got[:60],
        do="start again within the configuration's limits",
    )
