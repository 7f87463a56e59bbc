"""The input and the result of a fine-tune."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from peft import PeftModel

from steps.governance.documents.evaluated import Evaluated
from steps.governance.documents.precision import Precision as PrecisionRecord
from steps.train.arguments import Arguments
from steps.train.data.corpus import Corpus
from steps.train.data.truncation import Lengths
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.held_out.completions import Answered
from steps.train.fine_tuning.held_out.measured import HeldOut
from steps.train.fine_tuning.history import EvaluationAtStep, History
from steps.train.fine_tuning.sample import Asked
from steps.train.fine_tuning.trainer_settings import Schedule
from steps.train.model.logit_probe import Probe
from steps.train.planning import proportion
from steps.train.planning.batching import Batching
from steps.train.tracking.tracker import Tracker


@dataclass(frozen=True)
class Task:
    """The input of a fine-tune.

    Attributes:
        arguments: the hyperparameters.
        base_model: the verified base model's folder.
        corpus: the verified examples, tokenized and packed.
        checkpoints: the folder for the training state.
        sources: digests of data and base model; a checkpoint is valid for these only.
        tracker: receives metrics and tags.
    """

    arguments: Arguments
    base_model: Path
    corpus: Corpus
    checkpoints: Path
    sources: Mapping[str, str]
    tracker: Tracker

    def held_out(self, schedule: Schedule, rows_per_step: int) -> HeldOut:
        """Return the held-out rows that Gate's loss is of, and the sample of them."""
        arguments, split, train = self.arguments, self.corpus.eval, self.corpus.train
        packing = {"row_tokens": arguments.sequence_length, "seed": arguments.seed}
        whole = split.sampled(arguments.max_eval_examples, **packing)
        epochs = schedule.steps * rows_per_step / len(train.rows)
        most = proportion.sample_tokens(
            trained=round(train.rows.tokens * min(epochs, arguments.epochs)),
            whole=whole.tokens,
            evaluations=math.ceil(schedule.steps / schedule.eval_steps),
        )
        return HeldOut(whole, split.stratified(whole, most, **packing))


@dataclass(frozen=True)
class Tuned:
    """The tuned model, and everything that the report contains about the run.

    Attributes:
        model: the model with its best adapter.
        best: the evaluation of this adapter on all held-out examples.
        last: the evaluation of the last step on them; None if it would have taken too long.
        history: all steps and evaluations.
        precision: requested and effective arithmetic.
        batching: rows and passes of an optimizer step, as they were planned.
        lengths: document lengths by split.
        evaluated: what the evaluations measured, and their share of the work.
        asked: one held-out prompt, and the answers to it.
        answered: how well base and tuned model complete held-out prompts; None if the
            device has no memory for one of them.
        probe: logits that a merged export must reproduce; None if no export was requested.
        system: the system message of every training example, or "" if they differ. Serving must use
            the same one.
        stopped_early: whether training ended before its last step.
        seconds: duration of each phase.
    """

    model: PeftModel
    best: EvaluationAtStep
    last: Evaluation | None
    history: History
    precision: PrecisionRecord
    batching: Batching
    lengths: dict[str, Lengths]
    evaluated: Evaluated
    asked: Asked
    answered: Answered | None
    probe: Probe | None
    system: str
    stopped_early: bool
    seconds: dict[str, float]

    @property
    def before(self) -> Evaluation:
        """The base model's evaluation."""
        assert self.history.before is not None  # noqa: S101 - `fine_tune` evaluates it first
        return self.history.before


@dataclass
class Clock:
    """Seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Measure the duration of one phase."""
        began = time.perf_counter()
        yield
        self.seconds[phase] = round(time.perf_counter() - began, 3)
