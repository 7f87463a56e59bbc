"""Run one fine-tune: from a verified base and verified examples to a tuned model.

It reads the base model's folder and writes checkpoints, nothing else. Result and report data are
returned as `Tuned`.
"""

import math
from dataclasses import asdict

from peft import PeftModel

from steps.governance.errors import IntegrityError
from steps.train.arguments import Arguments
from steps.train.data.chat_template import Chat
from steps.train.distributed import processes
from steps.train.distributed.processes import Processes
from steps.train.fine_tuning import out_of_memory, trainer_settings
from steps.train.fine_tuning.checkpoints import Checkpoints, Fingerprint
from steps.train.fine_tuning.divergence import require_finite
from steps.train.fine_tuning.evaluation import Evaluation, evaluate
from steps.train.fine_tuning.history import EvaluationAtStep, History
from steps.train.fine_tuning.run import TrainingRun
from steps.train.fine_tuning.sample import sample
from steps.train.fine_tuning.task import Clock, Task, Tuned
from steps.train.fine_tuning.trainer_settings import Schedule
from steps.train.model import compiling, loading, logit_probe, lora, ministral, precision
from steps.train.model.precision import Precision
from steps.train.planning import batching, flops
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan
from steps.train.stopping import StopSignal
from steps.train.tracking import metric_lines

# Hyperparameters that determine the weights, or which of the saved adapters is the best.
_DECISIVE = (
    "execution_arn",
    "base_model",
    "base_model_revision",
    "epochs",
    "max_steps",
    "learning_rate",
    "lora_rank",
    "sequence_length",
    "seed",
    "optimizer",
    "determinism",
    "eval_steps",
    "early_stopping_patience",
    "max_eval_examples",
)
# Nats by which the loss of the reloaded best adapter may differ: sums vary on a GPU.
_SAME_LOSS = 0.01


def fine_tune(task: Task, *, stop: StopSignal, clock: Clock) -> Tuned:
    """Load and evaluate the base, train, load the best adapter, and generate a sample.

    Raises:
        UsageError: the device does not support the requested precision.
        IntegrityError: the base model's files are inconsistent.
        Conflict: the checkpoints belong to another configuration.
        Diverged: the loss, in training or evaluation, is not finite.
        OutOfMemory: the device has no memory for one row.
        Stopped: SIGTERM was received; the training state is in the checkpoints.
    """
    trainer_settings.seed_generators(task.arguments.determinism, task.arguments.seed)
    decided = precision.decide(task.arguments.fp8_mode, Device.here())
    record = decided.record()
    task.tracker.tag({f"fp8_{name}": value for name, value in record.model_dump().items()})
    plan = _plan(task, decided)
    with clock.time("load"):
        model = _load(task, decided, plan)
    run = _training_run(task, model, plan, decided=decided, stop=stop)
    with clock.time("evaluate_before"):
        before = _evaluate_base(run)
    with clock.time("train"):
        history = out_of_memory.train(model, run, before)
    with clock.time("evaluate_best"):
        best = _load_best(model, run, history)
    held_out = task.corpus.eval.documents
    with clock.time("sample"):
        asked = sample(model, Chat(task.base_model), held_out[0], decided)
        exports = task.arguments.exports_merged
        probe = logit_probe.record(model, held_out) if exports else None
    return Tuned(
        *(model, best, history, record, run.batching),
        lengths={"train": task.corpus.train.lengths, "eval": task.corpus.eval.lengths},
        measured=task.eval_rows().documents,
        asked=asked,
        probe=probe,
        system=task.corpus.system,
        stopped_early=history.steps < run.schedule.steps,
        seconds=clock.seconds,
    )


def _plan(task: Task, decided: Precision) -> Plan:
    """Return the memory plan of this process, which holds all of the base or a shard of it."""
    arguments = task.arguments
    shape = ministral.shape(task.base_model)
    plan = decided.plan(shape, rank=arguments.lora_rank, optimizer=arguments.optimizer)
    return loading.plan_sharding(arguments, plan, decided.device, processes.here().count)


def _load(task: Task, decided: Precision, plan: Plan) -> PeftModel:
    """Load the base and add the adapters."""
    arguments = task.arguments
    model = loading.load(arguments, task.base_model, decided, split=plan.shards > 1)
    if arguments.compile == "layers":
        compiling.compile_layers(model, decided.device)
    return model


def _training_run(
    task: Task, model: PeftModel, plan: Plan, *, decided: Precision, stop: StopSignal
) -> TrainingRun:
    """Return the settings of this task on this device, and log them."""
    arguments, group, eval_rows = task.arguments, processes.here(), task.eval_rows()
    length, held_out = arguments.sequence_length, len(task.corpus.eval.documents)
    batches = batching.decide(decided.device, length, plan=plan, ranks=group.count)
    metric_lines.report_info(
        f"precision {decided.record().model_dump_json()} batching {asdict(batches)}"
    )
    metric_lines.report_info(
        f"each evaluation measures {eval_rows.documents} of {held_out} held-out examples"
    )
    return TrainingRun(
        rows=task.corpus.train.rows,
        schedule=_schedule(arguments, len(task.corpus.train.rows), group),
        batching=batches,
        precision=decided,
        checkpoints=Checkpoints(task.checkpoints, _fingerprint(task, decided, group)),
        evaluate=lambda: evaluate(
            model, eval_rows, decided, rows_at_once=batches.micro_rows, stop=stop
        ),
        tracker=task.tracker,
        stop=stop,
        flops=lambda tokens: flops.of_step(plan.shape, plan.rank, tokens).total,
        processes=group,
    )


def _schedule(arguments: Arguments, rows: int, group: Processes) -> Schedule:
    all_epochs = arguments.epochs * math.ceil(rows / batching.rows_per_step(group.count))
    return Schedule(
        all_epochs if arguments.max_steps < 0 else min(all_epochs, arguments.max_steps),
        arguments.learning_rate,
        arguments.seed,
        optimizer=arguments.optimizer,
        eval_steps=arguments.eval_steps,
        patience=arguments.early_stopping_patience,
    )


def _fingerprint(task: Task, decided: Precision, group: Processes) -> Fingerprint:
    """Return what a checkpoint and the run that resumes from it must have in common.

    The number of rows in one pass may differ.
    """
    arguments = asdict(task.arguments)
    return {
        **{name: arguments[name] for name in _DECISIVE},
        **task.sources,
        "fp8": decided.effective,
        "dtype": str(decided.dtype).removeprefix("torch."),
        "rows_per_step": batching.rows_per_step(group.count),
    }


def _evaluate_base(run: TrainingRun) -> Evaluation:
    """Return the base model's evaluation: adapters add nothing before their first step.

    It is made once; a restarted job reads it from the newest checkpoint.
    """
    resume = run.newest_checkpoint()
    before = resume.history().before if resume else None
    if before is None:
        before = require_finite(
            run.evaluate(), "before training", do="check the base model and Fp8Mode"
        )
    metric_lines.report_evaluation(0, eval_loss_before=before.loss, eval_tokens=before.tokens)
    run.tracker.log(0, {"eval_loss": before.loss, "eval_perplexity": before.perplexity})
    return before


def _load_best(model: PeftModel, run: TrainingRun, history: History) -> EvaluationAtStep:
    """Load the adapter with the lowest eval loss into the model.

    Its loss is reported again, because Gate reads the last metric line.

    Raises:
        IntegrityError: the loaded adapter does not have the loss that was measured.
    """
    best = history.best
    assert best is not None  # noqa: S101 - the last step is always evaluated
    if best.step == history.steps:
        return best
    lora.load_adapters(model, run.checkpoints.path(best.step))
    reloaded = run.evaluate()
    if not abs(reloaded.loss - best.evaluation.loss) < _SAME_LOSS:
        raise IntegrityError(
            f"the best adapter, of step {best.step}, does not give its loss again",
            expected=f"{best.evaluation.loss:.6g} nats per target token",
            got=f"{reloaded.loss:.6g}",
            do="start a new execution; if it happens again, report it with Determinism full",
        )
    run.report(best)
    return best
