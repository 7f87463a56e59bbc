"""One fine-tune, from a verified base and verified examples to a tuned model and what is to be told about it.

Nothing here reads from or writes to anywhere but the base model's folder.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from peft import PeftModel
from transformers import set_seed

from steps.governance.errors import UsageError
from steps.governance.manifest import Precision as PrecisionRecord
from steps.train import batching, generation, loop, lora, model, precision, progress, reloading
from steps.train.arguments import Arguments
from steps.train.chat import Chat
from steps.train.data import Examples
from steps.train.evaluation import Evaluation, evaluate
from steps.train.examples import Lengths, documents
from steps.train.packing import Document, Row, best_fit
from steps.train.stopping import StopSignal


@dataclass(frozen=True)
class Tuned:
    """The tuned model and everything the report says about how it came to be."""

    model: PeftModel
    before: Evaluation
    after: Evaluation
    progress: loop.Progress
    precision: PrecisionRecord
    batching: batching.Batching
    lengths: dict[str, Lengths]
    sample: generation.Sample
    probe: reloading.Probe  # what a merged export must answer
    best_step: int  # the optimizer step whose adapters these are
    stopped_early: bool
    resumed_from: int  # the optimizer step, 0 if the job began anew
    evaluations: list[dict[str, float]]  # step and eval_loss, in order
    system: str  # the system message of every training example, "" where they differ: serving must say the same
    seconds: dict[str, float]


@dataclass
class Clock:
    """Seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Time one phase."""
        began = time.perf_counter()
        yield
        self.seconds[phase] = round(time.perf_counter() - began, 3)


@dataclass(frozen=True)
class _Split:
    """One split, tokenized and packed."""

    documents: list[Document]
    rows: list[Row]
    lengths: Lengths


def fine_tune(arguments: Arguments, folder: Path, examples: Examples, *, stop: StopSignal, clock: Clock) -> Tuned:
    """Tokenize, pack, load, evaluate, train, evaluate, try out.

    Raises:
        UsageError: a split holds no usable example, or the device cannot do the asked precision.
        IntegrityError: the base model is not what it says it is.
        Diverged: the loss, in training or evaluation, is no number.
        Stopped: SIGTERM came.
    """
    set_seed(arguments.seed)
    decided = precision.decide(arguments.fp8_mode, precision.Device.here())
    batches = batching.decide(decided.device, arguments.sequence_length)
    progress.say(f"precision {decided.record().model_dump_json()} batching {asdict(batches)}")
    chat = Chat(folder)
    with clock.time("tokenize"):
        train = _split(chat, examples, "train", arguments)
        held_out = _split(chat, examples, "eval", arguments)
    stop.check()
    with clock.time("load"):
        base = model.load(folder, decided)
        tuned = lora.add_adapters(
            base, arguments.lora_rank, base_model=arguments.base_model, revision=arguments.base_model_revision
        )
    with clock.time("evaluate_before"):
        before = evaluate(tuned, held_out.rows, decided, rows_at_once=batches.micro_rows, stop=stop)
    _require_finite(before, "before", do="check the base model and Fp8Mode: nothing was trained yet")
    progress.report_evaluation(eval_loss_before=before.loss, eval_tokens=before.tokens)
    with clock.time("train"):
        schedule = loop.Schedule(arguments.epochs, arguments.max_steps, arguments.learning_rate, arguments.seed)
        done = loop.train(tuned, train.rows, schedule, batching=batches, precision=decided, stop=stop)
    with clock.time("evaluate_after"):
        after = evaluate(tuned, held_out.rows, decided, rows_at_once=batches.micro_rows, stop=stop)
    _require_finite(after, "after", do="lower LearningRate")
    progress.report_evaluation(eval_loss=after.loss, eval_tokens=after.tokens)
    with clock.time("sample"):
        sample = generation.sample(tuned, chat, held_out.documents[0], decided)
        probe = reloading.ask(tuned, held_out.documents)
    lengths = {"train": train.lengths, "eval": held_out.lengths}
    systems = {example.system for example in examples.train}
    system = systems.pop() if len(systems) == 1 else ""
    return Tuned(
        tuned,
        before,
        after,
        done,
        decided.record(),
        batches,
        lengths,
        sample,
        probe,
        best_step=done.steps,
        stopped_early=False,
        resumed_from=0,
        evaluations=[{"step": 0, "eval_loss": before.loss}, {"step": done.steps, "eval_loss": after.loss}],
        system=system,
        seconds=clock.seconds,
    )


def _require_finite(evaluation: Evaluation, when: str, *, do: str) -> None:
    if not math.isfinite(evaluation.loss):
        raise loop.Diverged(
            f"the eval loss {when} training is no number", expected="a finite loss", got=str(evaluation.loss), do=do
        )


def _split(chat: Chat, examples: Examples, split: str, arguments: Arguments) -> _Split:
    rows = getattr(examples, split)
    fitted, lengths = documents(chat, rows, arguments.sequence_length)
    if not fitted:
        raise UsageError(
            f"the {split} split holds no example to use",
            expected=f"at least one example of at most {arguments.sequence_length} tokens",
            got=f"{len(rows)} examples, {dict(lengths.affected_documents)}",
            do="give Prepare more filings (each split needs a company of its own), or raise SequenceLength",
        )
    return _Split(fitted, best_fit(fitted, arguments.sequence_length, seed=arguments.seed), lengths)
