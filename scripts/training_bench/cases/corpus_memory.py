"""Measure whether memory grows with the data: tokenize and pack examples with the step's own code.

The number is the peak RSS of a new process. Ten times the examples are ten times the tokens.
"""

import random
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.training_bench.job import Job

_BATCH_EXAMPLES = 512  # as steps/train/data/curated_rows.py reads them
_SYSTEM = "You are an analyst. Answer from the filing only."
_SENTENCES_PER_PROMPT = 12
_WORDS = """
operations results revenue increased compared with the prior year due to higher costs of materials
and
""".split()  # noqa: SIM905 - shorter than a list of strings


def run(job: Job) -> dict[str, Any]:
    """Build the corpus of `job.documents` examples and read one row of it."""
    from steps.train.data import corpus
    from steps.train.data.chat_template import Chat

    with tempfile.TemporaryDirectory() as folder:
        built = corpus.build(
            batches(job.documents, job.seed),
            Chat(Path(job.model)),
            Path(folder),
            row_tokens=job.row_tokens,
            seed=job.seed,
        )
        if not built.train.rows[0]:
            raise RuntimeError("expected a first row with documents, got an empty one")
        return {
            "tokens": built.train.lengths.tokens,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def batches(count: int, seed: int) -> Iterator[Any]:
    """Yield `count` examples in Arrow batches, one example in twenty for evaluation."""
    import pyarrow as pa

    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for start in range(0, count, _BATCH_EXAMPLES):
        numbers = range(start, min(count, start + _BATCH_EXAMPLES))
        yield pa.RecordBatch.from_pydict(
            {
                "example_id": [f"example-{number}" for number in numbers],
                "split": ["eval" if number % 20 == 0 else "train" for number in numbers],
                "year": [2000 + number % 20 for number in numbers],
                "sic": ["7372"] * len(numbers),
                "system": [_SYSTEM] * len(numbers),
                "prompt": [_text(draw, _SENTENCES_PER_PROMPT) for _ in numbers],
                "completion": [_text(draw, 2) for _ in numbers],
            }
        )


def _text(draw: random.Random, sentences: int) -> str:
    return " ".join(
        f"{' '.join(draw.choices(_WORDS, k=12))} to ${draw.randrange(1000)} million."
        for _ in range(sentences)
    )
