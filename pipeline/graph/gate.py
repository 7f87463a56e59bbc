"""Gate: only a model whose eval loss is within the bound is registered. NaN is not within it."""

from pipeline.graph.expressions import Variable, Variables
from pipeline.graph.sdk import (
    CallbackStep,
    ConditionLessThanOrEqualTo,
    ConditionStep,
    FailStep,
    Join,
    TrainingStep,
)
from pipeline.metrics import EVAL_LOSS


def step(
    trained: TrainingStep,
    *bounds: Variable | float,
    passed: CallbackStep,
    failed: FailStep,
) -> ConditionStep:
    """Return the condition: the eval loss that Train reported is at most each of the bounds, which
    are the parameter MaxEvalLoss and the configuration's ceiling of it."""
    loss = _eval_loss(trained)
    return ConditionStep(
        name="Gate",
        description="Pass if the eval loss is at most MaxEvalLoss (nats per target token)",
        conditions=[ConditionLessThanOrEqualTo(left=loss, right=bound) for bound in bounds],
        if_steps=[passed],
        else_steps=[failed],
    )


def rejected(trained: TrainingStep, parameters: Variables) -> FailStep:
    """Return the Fail step for a loss above the bound. Its message has loss and bound."""
    words = [
        "eval loss ",
        _eval_loss(trained),
        " is not within MaxEvalLoss ",
        parameters["MaxEvalLoss"],
    ]
    return FailStep(
        name="Rejected",
        description="Nothing was registered",
        error_message=Join(
            on="", values=[*words, " (nats per target token); nothing was registered"]
        ),
    )


def _eval_loss(trained: TrainingStep) -> object:
    return trained.properties.FinalMetricDataList[EVAL_LOSS].Value
