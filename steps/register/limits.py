"""The ceilings of this deployment: no execution exceeds them, and no parameter changes them.

    limits.require_within(execution)
    limits.require_job_within(training_job)

They are the worker's own arguments, made from `limits:` of the configuration by
pipeline/register_worker.py. An execution could have started with a definition that somebody
changed, or without its first check, so the worker checks again, before it makes anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.governance.errors import UsageError

if TYPE_CHECKING:  # the worker's --help must not wait for what facts imports
    from steps.register.facts import Execution


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


def _beyond(what: str, expected: str, got: str) -> UsageError:
    return UsageError(
        f"{what} is beyond a ceiling of this deployment; nothing was registered",
        expected=expected,
        got=got[:60],
        do="start again within the configuration's limits",
    )
