"""Limits: the first check of an execution, before any compute. `pipeline.run` has refused the same.

An execution can be started without `pipeline.run`: with the API or in Studio. SageMaker compares
only String parameters with a list, when it starts an execution, so alias and instance type are
enumerated (`pipeline.definition`). A Float has no bounds there; this condition has them.
"""

from pipeline.configuration.config import Config
from pipeline.graph.expressions import Variables
from pipeline.graph.sdk import (
    ConditionGreaterThan,
    ConditionLessThanOrEqualTo,
    ConditionStep,
    EMRServerlessStep,
    FailStep,
    Join,
)


def step(config: Config, parameters: Variables, *, passed: EMRServerlessStep) -> ConditionStep:
    """Return the condition around Prepare: MaxEvalLoss is above 0 and at most its ceiling.

    NaN is neither. Prepare is inside the branch, so it cannot start together with the Fail step.
    """
    bound, most = parameters["MaxEvalLoss"], config.limits.max_eval_loss
    return ConditionStep(
        name="Limits",
        description="Pass if no parameter is beyond a ceiling of the configuration",
        conditions=[
            ConditionGreaterThan(left=bound, right=0.0),
            ConditionLessThanOrEqualTo(left=bound, right=most),
        ],
        if_steps=[passed],
        else_steps=[_refused(bound, most)],
    )


def _refused(bound: object, most: float) -> FailStep:
    words = ["MaxEvalLoss ", bound, f" is not within its ceiling, above 0 and at most {most:g} "]
    return FailStep(
        name="BeyondLimits",
        description="Nothing was started",
        error_message=Join(
            on="", values=[*words, "(limits.max_eval_loss of the configuration); nothing started"]
        ),
    )
