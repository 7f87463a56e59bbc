"""Refuse a loss or gradient that is not finite."""

import math

from steps.governance.errors import GovernanceError
from steps.train.fine_tuning.evaluation import Evaluation


class Diverged(GovernanceError):
    """The loss or its gradient is not finite."""


def require_finite(evaluation: Evaluation, when: str, *, do: str) -> Evaluation:
    """Return the evaluation if its loss is finite.

    Args:
        evaluation: the evaluation to check.
        when: the moment of the evaluation, for the error message.
        do: the advice of the error message.

    Raises:
        Diverged: the loss is not finite.
    """
    if not math.isfinite(evaluation.loss):
        raise Diverged(
            f"the eval loss {when} is not finite",
            expected="a finite loss",
            got=str(evaluation.loss),
            do=do,
        )
    return evaluation
