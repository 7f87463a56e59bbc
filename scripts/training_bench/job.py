"""The job of one measured process, and the prefix of the line with its result.

    python -m scripts.training_bench.measure_one '<job as JSON>'

The process may print anything; its last line is RESULT and the numbers as JSON. Standard library
only, because the parent process imports this module and must stay small.
"""

import json
from dataclasses import asdict, dataclass

RESULT = "RESULT "


@dataclass(frozen=True)
class Job:
    """One case on one data set.

    Attributes:
        case: a key of `measure_one.CASES`.
        model: folder of the checkpoint.
        documents: how many documents to train on.
        device: cpu or cuda.
        row_tokens: length of a packed row.
        warm_up: forward passes that are not counted.
        seed: of documents, order and adapters.
        bfloat16: compute in bfloat16 in any mode. On a CPU the step itself would choose otherwise.
        recompute: one row at a time with every layer recomputed, as on a small GPU. Ours only.
    """

    case: str
    model: str
    documents: int
    device: str = "cpu"
    row_tokens: int = 4096
    warm_up: int = 1
    seed: int = 0
    bfloat16: bool = False
    recompute: bool = False

    def to_json(self) -> str:
        """Return the job as a command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Return the job that `to_json` wrote."""
        return cls(**json.loads(text))
