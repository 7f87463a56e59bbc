"""What a run has done so far: one entry per optimizer step, one per evaluation. It travels with every checkpoint, so a
job that SageMaker started again goes on with the whole story, and which adapter is best is derived from it, never kept.
"""

from dataclasses import dataclass, field
from typing import Self

from pydantic import TypeAdapter

from steps.train.fine_tuning.evaluation import Evaluation


@dataclass(frozen=True)
class Measured:
    """One evaluation: after which optimizer step, and its result."""

    step: int
    evaluation: Evaluation


@dataclass
class History:
    """Steps, tokens and seconds count from the first start of the job, interruptions not included."""

    before: Evaluation | None = None  # of the base, before the first step
    steps: int = 0
    tokens: int = 0
    flops: int = (
        0  # what the model needs for them (`steps.train.planning.flops`), the numerator of MFU
    )
    seconds: float = 0.0
    resumed_from: list[int] = field(
        default_factory=list
    )  # the step of each checkpoint that a start went on from
    curve: list[dict[str, float]] = field(default_factory=list)
    evaluations: list[Measured] = field(default_factory=list)

    @property
    def best(self) -> Measured | None:
        """The evaluation with the lowest loss, the earliest of equals."""
        return min(self.evaluations, key=lambda measured: measured.evaluation.loss, default=None)

    def evaluated(self, step: int) -> bool:
        """Whether the state after this step was evaluated."""
        return any(measured.step == step for measured in self.evaluations)

    def out_of_patience(self, patience: int) -> bool:
        """Whether the last `patience` evaluations all failed to beat an earlier one; 0 is endless patience."""
        if not patience or self.best is None:
            return False
        return sum(measured.step > self.best.step for measured in self.evaluations) >= patience

    def to_json(self) -> bytes:
        """As it travels with a checkpoint."""
        return TypeAdapter(type(self)).dump_json(self)

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """What `to_json` wrote.

        Raises:
            ValueError: it is no history.
        """
        return TypeAdapter(cls).validate_json(content)
