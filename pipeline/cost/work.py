"""How much work an execution is: examples, tokens, optimizer steps, seconds of each job.

    work = plan(Corpus(filings=1000), configured, {"Epochs": 1, …})
    work.trained_tokens("ml.g5.2xlarge"), work.train_seconds("ml.g5.2xlarge")

The sizes of a filing are those of the 35 filings of 12 companies in docs/decisions/030; other
corpora differ, so `--examples` states your own number (an earlier run's result prints it).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.configuration import instances, spark_workers
from pipeline.configuration.config import Config
from pipeline.cost import speed

# 35 annual reports gave 712 examples without repeats; a mean of 2,015 characters with their answer
# and about 120 of instructions. Characters of English a token, for Ministral's tokenizer
# [unverified].
EXAMPLES_A_FILING = 20.3
CHARACTERS_AN_EXAMPLE = 2_135
CHARACTERS_A_TOKEN = 4.2
TOKENS_AN_EXAMPLE = round(CHARACTERS_AN_EXAMPLE / CHARACTERS_A_TOKEN)

# As in steps/train/planning/proportion.py and batching.py; a test compares them
EVALUATION_SHARE, ENOUGH_TOKENS, STEP_FORWARDS = 0.15, 2**17, 2.11
LEAST_SAMPLE, WHOLE_PASSES, COMPLETIONS = 64, 2, 64_000
ROWS_A_STEP = 4  # steps/train/planning/batching.py has the same; a test compares both
# Before and after its work a job starts its workers, fetches its image and the model, loads, and
# stores [unverified on AWS: from a few minutes of published examples].
PREPARE_STARTS_SECONDS = 120
TRAIN_STARTS_SECONDS = 480
PREPARE_CPU_SECONDS_A_FILING = 0.03  # `python -m scripts.prepare_bench`, 319 filings


@dataclass(frozen=True)
class Corpus:
    """The filings that Prepare reads, and the examples that they give if that is known."""

    filings: int
    examples: int | None = None

    @property
    def usable(self) -> int:
        """Examples, of both splits."""
        return self.examples or round(self.filings * EXAMPLES_A_FILING)


@dataclass(frozen=True)
class Work:
    """The work of one execution with the parameters that it is asked for."""

    corpus: Corpus
    prepare_conf: Mapping[str, str]
    hosts: int
    examples: int  # to train on
    held_out: int  # that the evaluations before training and of the best step measure
    tokens: int  # of an example, as far as a row holds it
    epochs: int
    row_tokens: int
    most_steps: int | None
    eval_steps: int

    def prepare_seconds(self) -> float:
        """Return how long Prepare runs."""
        vcpus = spark_workers.of(self.prepare_conf).vcpus
        work = self.corpus.filings * PREPARE_CPU_SECONDS_A_FILING / vcpus
        return max(spark_workers.MINIMUM_SECONDS, PREPARE_STARTS_SECONDS + work)

    def steps(self, instance_type: str) -> int:
        """Return the optimizer steps on such hosts."""
        needed = math.ceil(self.epochs * self.examples * self.tokens / self._step(instance_type))
        return needed if self.most_steps is None else min(needed, self.most_steps)

    def trained_tokens(self, instance_type: str) -> int:
        """Return the tokens of all steps on such hosts."""
        every = self.epochs * self.examples * self.tokens
        return min(every, self.steps(instance_type) * self._step(instance_type))

    def evaluated_tokens(self, instance_type: str) -> int:
        """Return the tokens of all evaluations: before, on the way on a sample, and at the end."""
        whole, times = self.held_out * self.tokens, -(-self.steps(instance_type) // self.eval_steps)
        allowed = EVALUATION_SHARE / (1 - EVALUATION_SHARE) * STEP_FORWARDS
        left = allowed * self.trained_tokens(instance_type) - WHOLE_PASSES * whole - COMPLETIONS
        sample = max(LEAST_SAMPLE * self.tokens, min(ENOUGH_TOKENS, int(left // max(1, times))))
        if sample >= whole:  # then each evaluation is of all, and the last one decides
            return (1 + times) * whole
        return WHOLE_PASSES * whole + times * sample

    def train_seconds(self, instance_type: str) -> float:
        """Return how long Train runs on such hosts."""
        rate = speed.of(instance_type).tokens * self.gpus(instance_type)
        evaluated = self.evaluated_tokens(instance_type) / speed.FORWARD
        return TRAIN_STARTS_SECONDS + (self.trained_tokens(instance_type) + evaluated) / rate

    def gpus(self, instance_type: str) -> int:
        """Return the GPUs of all hosts."""
        return self.hosts * instances.gpus(instance_type)

    def _step(self, instance_type: str) -> int:
        """Tokens of a step: 4 rows, rounded up to a multiple of the GPUs."""
        gpus = self.gpus(instance_type)
        return -(-max(ROWS_A_STEP, gpus) // gpus) * gpus * self.row_tokens


def plan(corpus: Corpus, configured: Config, values: Mapping[str, Any]) -> Work:
    """Return the work of an execution in this environment with these parameters."""
    held_out = round(corpus.usable * configured.prepare.eval_fraction)
    most = int(values["MaxEvalExamples"])
    steps = int(values["MaxSteps"])
    row_tokens = int(values["SequenceLength"])
    return Work(
        corpus=corpus,
        prepare_conf=configured.prepare.spark,
        hosts=configured.train.instance_count,
        examples=corpus.usable - held_out,
        held_out=held_out if most < 0 else min(held_out, most),
        tokens=min(TOKENS_AN_EXAMPLE, row_tokens),
        epochs=int(values["Epochs"]),
        row_tokens=row_tokens,
        most_steps=steps if steps > 0 else None,
        eval_steps=int(values["EvalSteps"]),
    )
