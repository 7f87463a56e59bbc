"""The history of a run: one entry per optimizer step and one per evaluation.

Every checkpoint contains the history, so a job that SageMaker restarts continues it. The best
adapter is computed from the history and never stored.
"""

from dataclasses import dataclass, field
from typing import Self

from pydantic import TypeAdapter

from steps.train.fine_tuning.evaluation import Evaluation


@dataclass(frozen=True)
class EvaluationAtStep:
    """An evaluation of the state after optimizer step `step`."""

    step: int
    evaluation: Evaluation


@dataclass
class History:
    """Counts from the first start of the job; time between a stop and a restart is not included.

    Attributes:
        before: the evaluation of the base model.
        steps: optimizer steps.
        tokens: tokens of all steps.
        flops: operations that the model needs for them (planning/flops.py), the numerator of MFU.
        seconds: time spent in steps.
        resumed_from: for each restart, the step of the checkpoint that it loaded.
        curve: the metrics of each step.
        evaluations: the evaluations after the first step.
    """

    before: Evaluation | None = None
    steps: int = 0
    tokens: int = 0
    flops: int = 0
    seconds: float = 0.0
    resumed_from: list[int] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    evaluations: list[EvaluationAtStep] = field(default_factory=list)

    @property
    def best(self) -> EvaluationAtStep | None:
        """The evaluation with the lowest loss; the earliest if several are equal."""
        return min(self.evaluations, key=lambda each: each.evaluation.loss, default=None)

    def evaluated(self, step: int) -> bool:
        """Return whether the state after `step` was evaluated."""
        return any(each.step == step for each in self.evaluations)

    def out_of_patience(self, patience: int) -> bool:
        """Return whether the last `patience` evaluations did not improve on an earlier one.

        With patience 0 the result is always False.
        """
        if not patience or self.best is None:
            return False
        return sum(each.step > self.best.step for each in self.evaluations) >= patience

    def to_json(self) -> bytes:
        """Return the content of history.json."""
        return TypeAdapter(type(self)).dump_json(self)

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read the content of history.json.

        Raises:
            ValueError: the content is not a history.
        """
        return TypeAdapter(cls).validate_json(content)
