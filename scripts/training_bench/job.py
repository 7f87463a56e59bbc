"""What one measured process is told, and the one line in which it answers. Standard library only: the parent imports it.

python -m scripts.training_bench.measure_one '<job as JSON>'        prints … and, last, RESULT <JSON>
"""

import json
from dataclasses import asdict, dataclass

RESULT = "RESULT "


@dataclass(frozen=True)
class Job:
    """One case on one data set. `row_tokens`: of a packed row; `warm_up`: forward passes that are not counted."""

    case: str
    model: str
    documents: int
    device: str = "cpu"
    row_tokens: int = 4096
    warm_up: int = 1
    seed: int = 0
    bfloat16: bool = (
        False  # in bfloat16 and any mode, also on a CPU, where the step would choose otherwise
    )
    recompute: bool = False  # ours: one row at a time, every layer recomputing, as on a small GPU

    def to_json(self) -> str:
        """The command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that `to_json` wrote."""
        return cls(**json.loads(text))
