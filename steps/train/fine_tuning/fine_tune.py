"""One fine-tune, from a verified base and verified examples to a tuned model and what is to be told about it.

It reads the base model's folder and writes checkpoints, nothing else.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from peft import PeftModel

from steps.governance.errors import IntegrityError
from steps.governance.manifest import Precision as PrecisionRecord
from steps.train.arguments import Arguments
from steps.train.data.chat_template import Chat
from steps.train.data.corpus import Corpus, Rows
from steps.train.data.truncation import Lengths
from steps.train.distributed import processes
from steps.train.fine_tuning import determinism, out_of_memory, training_loop
from steps.train.fine_tuning import sample as generation
from steps.train.fine_tuning.checkpoints import Checkpoints, Fingerprint
from steps.train.fine_tuning.evaluation import Evaluation, evaluate
from steps.train.fine_tuning.history import History, Measured
from steps.train.fine_tuning.trainer_settings import Schedule
from steps.train.model import compiling, loading, logit_probe, lora, precision
from steps.train.model import ministral as model
from steps.train.planning import batching, flops
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan
from steps.train.stopping import StopSignal
from steps.train.tracking import metric_lines
from steps.train.tracking.tracker import Tracker

# The hyperparameters that decide which weights come out, and which of them are the best
_DECISIVE = (
    *(
        "execution_arn",
        "base_model",
        "base_model_revision",
        "epochs",
        "max_steps",
        "learning_rate",
        "lora_rank",
    ),
    *(
        "sequence_length",
        "seed",
        "optimizer",
        "determinism",
        "eval_steps",
        "early_stopping_patience",
    ),
    "max_eval_examples",
)
_SAME_LOSS = 0.01  # nats; what reading the best adapter back may change, on a GPU whose sums vary


@dataclass(frozen=True)
class Task:
    """What one fine-tune starts from, and where it may leave its checkpoints."""

    arguments: Arguments
    base_model: Path
    corpus: Corpus
    checkpoints: Path
    sources: Mapping[str, str]  # digests of data and base model: a checkpoint belongs to these only
    tracker: Tracker


@dataclass(frozen=True)
class Tuned:
    """The tuned model and everything the report says about how it came to be."""

    model: PeftModel
    best: Measured
    history: History
    precision: PrecisionRecord
    batching: batching.Batching
    lengths: dict[str, Lengths]
    measured: int  # held-out documents of each evaluation
    sample: generation.Sample
    probe: logit_probe.Probe | None  # what a merged export must answer, where one is wanted
    system: str  # the system message of every training example, "" where they differ: serving must say the same
    stopped_early: bool
    seconds: dict[str, float]

    @property
    def before(self) -> Evaluation:
        """The base model's evaluation."""
        assert self.history.before is not None  # noqa: S101 - `fine_tune` measures it first
        return self.history.before


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


def fine_tune(task: Task, *, stop: StopSignal, clock: Clock) -> Tuned:
    """Load, evaluate, train, take the best, try it out.

    Raises:
        UsageError: the device cannot do the asked precision.
        IntegrityError: the base model is not what it says it is.
        Conflict: the checkpoints are of another configuration.
        Diverged: the loss, in training or evaluation, is no number.
        OutOfMemory: the device cannot hold one row.
        Stopped: SIGTERM came; what was trained is in the checkpoints.
    """
    arguments, me = task.arguments, processes.here()
    determinism.apply(arguments.determinism, arguments.seed)
    decided = precision.decide(arguments.fp8_mode, Device.here())
    task.tracker.tag(
        {f"fp8_{name}": value for name, value in decided.record().model_dump().items()}
    )
    plan = _plan(task, decided, me)
    with clock.time("load"):
        tuned = loading.load(arguments, task.base_model, decided, split=plan.shards > 1)
        if arguments.compile == "layers":
            compiling.compile_layers(tuned, decided.device)
    course = _course(task, tuned, plan, decided=decided, stop=stop)
    with clock.time("evaluate_before"):
        before = _before(course)
    with clock.time("train"):
        history = out_of_memory.train(tuned, course, before)
    with clock.time("evaluate_best"):
        best = _take_best(tuned, course, history)
    held_out = task.corpus.eval.documents
    with clock.time("sample"):
        sample = generation.sample(tuned, Chat(task.base_model), held_out[0], decided)
        probe = logit_probe.ask(tuned, held_out) if arguments.exports_merged else None
    return Tuned(
        tuned,
        best,
        history,
        decided.record(),
        course.batching,
        {"train": task.corpus.train.lengths, "eval": task.corpus.eval.lengths},
        _measured(task).documents,
        sample,
        probe,
        system=task.corpus.system,
        stopped_early=history.steps < course.schedule.steps,
        seconds=clock.seconds,
    )


def _plan(task: Task, decided: precision.Precision, me: processes.Processes) -> Plan:
    """What this process holds of the training: all of the base, or its part."""
    arguments = task.arguments
    shape = model.shape(task.base_model)
    plan = decided.plan(shape, rank=arguments.lora_rank, optimizer=arguments.optimizer)
    return loading.shared_out(arguments, plan, decided.device, me.count)


def _course(
    task: Task,
    tuned: PeftModel,
    plan: Plan,
    *,
    decided: precision.Precision,
    stop: StopSignal,
) -> training_loop.Course:
    """How this task is trained on this device."""
    arguments, me, held_out = task.arguments, processes.here(), _measured(task)
    batches = batching.decide(decided.device, arguments.sequence_length, plan=plan, ranks=me.count)
    metric_lines.say(f"precision {decided.record().model_dump_json()} batching {asdict(batches)}")
    metric_lines.say(
        f"each evaluation measures {held_out.documents} of {len(task.corpus.eval.documents)} held-out examples"
    )
    return training_loop.Course(
        rows=task.corpus.train.rows,
        schedule=_schedule(arguments, len(task.corpus.train.rows), me),
        batching=batches,
        precision=decided,
        checkpoints=Checkpoints(task.checkpoints, _fingerprint(task, decided, me)),
        evaluate=lambda: evaluate(
            tuned, held_out, decided, rows_at_once=batches.micro_rows, stop=stop
        ),
        tracker=task.tracker,
        stop=stop,
        flops=lambda tokens: flops.of_step(plan.shape, plan.rank, tokens).total,
        processes=me,
    )


def _measured(task: Task) -> Rows:
    """The held-out rows that every evaluation measures."""
    arguments = task.arguments
    return task.corpus.eval.sampled(
        arguments.max_eval_examples, row_tokens=arguments.sequence_length, seed=arguments.seed
    )


def _schedule(arguments: Arguments, rows: int, me: processes.Processes) -> Schedule:
    whole = arguments.epochs * math.ceil(rows / batching.rows_per_step(me.count))
    steps = whole if arguments.max_steps < 0 else min(whole, arguments.max_steps)
    return Schedule(
        steps,
        arguments.learning_rate,
        arguments.seed,
        optimizer=arguments.optimizer,
        eval_steps=arguments.eval_steps,
        patience=arguments.early_stopping_patience,
    )


def _fingerprint(task: Task, decided: precision.Precision, me: processes.Processes) -> Fingerprint:
    """What a checkpoint must share with the run that goes on from it. How many rows the device takes at once may differ."""
    arguments = asdict(task.arguments)
    return {
        **{name: arguments[name] for name in _DECISIVE},
        **task.sources,
        "fp8": decided.effective,
        "dtype": str(decided.dtype).removeprefix("torch."),
        "rows_per_step": batching.rows_per_step(me.count),
    }


def _before(course: training_loop.Course) -> Evaluation:
    """The base model's loss: adapters add nothing before their first step. Measured once, however often the job starts."""
    resume = course.newest()
    before = resume.history().before if resume else None
    if before is None:
        before = training_loop.require_finite(
            course.evaluate(), "before training", do="check the base model and Fp8Mode"
        )
    metric_lines.report_evaluation(0, eval_loss_before=before.loss, eval_tokens=before.tokens)
    course.tracker.log(0, {"eval_loss": before.loss, "eval_perplexity": before.perplexity})
    return before


def _take_best(tuned: PeftModel, course: training_loop.Course, history: History) -> Measured:
    """The adapter with the lowest eval loss in the model, and its loss on the last metric line: that is what Gate reads.

    Raises:
        IntegrityError: read back, it does not give the loss it gave.
    """
    best = history.best
    assert best is not None  # noqa: S101 - the last step is always evaluated
    if best.step == history.steps:
        return best
    lora.load_adapters(tuned, course.checkpoints.path(best.step))
    again = course.evaluate()
    if not abs(again.loss - best.evaluation.loss) < _SAME_LOSS:
        raise IntegrityError(
            f"the best adapter, of step {best.step}, does not give its loss again",
            expected=f"{best.evaluation.loss:.6g} nats per target token",
            got=f"{again.loss:.6g}",
            do="start a new execution; if it happens again, report it with Determinism full",
        )
    training_loop.report(best, course)
    return best
