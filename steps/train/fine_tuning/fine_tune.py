"""Run one fine-tune: from a verified base and verified examples to a tuned model.

It reads the base model's folder and writes checkpoints, nothing else. Result and report data are
returned as `Tuned`.
"""

import math
from dataclasses import asdict

from peft import PeftModel

from steps.train.arguments import Arguments
from steps.train.data.chat_template import Chat
from steps.train.distributed import processes, shrinking
from steps.train.distributed.processes import Processes
from steps.train.fine_tuning import out_of_memory, trainer_settings
from steps.train.fine_tuning.checkpoints import Checkpoints, Fingerprint, newest_configuration
from steps.train.fine_tuning.evaluation import evaluate
from steps.train.fine_tuning.held_out import completions, decisive
from steps.train.fine_tuning.held_out.completions import tokens_of
from steps.train.fine_tuning.run import TrainingRun
from steps.train.fine_tuning.sample import sample
from steps.train.fine_tuning.task import Clock, Task, Tuned
from steps.train.fine_tuning.trainer_settings import Schedule
from steps.train.model import compiling, loading, logit_probe, ministral
from steps.train.model.choosing import measured
from steps.train.model.choosing.kept import Kept
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
    decided = _precision(task, Device.here())
    record = decided.record()
    task.tracker.tag(record.tags)
    plan = _plan(task, decided)
    with clock.time("load"):
        model = _load(task, decided, plan)
    run = _training_run(task, model, plan, decided=decided, stop=stop)
    with clock.time("evaluate_before"):
        before = decisive.of_base(run)
    with clock.time("train"):
        history = out_of_memory.train(model, run, before)
    with clock.time("evaluate_best"):
        found = decisive.of_best(model, run, history)
    chat = Chat(task.base_model)
    with clock.time("sample"):
        asked = sample(model, chat, task.corpus.eval.documents[0], decided)
    with clock.time("completions"):
        answered = completions.complete(model, chat, run.held_out.few(), _decoding(task, run))
    return Tuned(
        *(model, found.best, found.last, history, record, run.batching, task.corpus.lengths),
        evaluated=run.held_out.evaluated(found.passes, history.tokens, tokens_of(answered)),
        asked=asked,
        answered=answered,
        probe=_probe(task, model),
        system=task.corpus.system,
        stopped_early=history.steps < run.schedule.steps,
        seconds=clock.seconds,
    )


def _decoding(task: Task, run: TrainingRun) -> completions.Decoding:
    """Return how held-out prompts are answered: with no more tokens at once than in training."""
    tokens = run.batching.micro_rows * task.arguments.sequence_length
    return completions.Decoding(run.precision, tokens, run.stop)


def _probe(task: Task, model: PeftModel) -> logit_probe.Probe | None:
    """Return logits that a merged export must reproduce, if one was requested."""
    if not task.arguments.exports_merged:
        return None
    return logit_probe.record(model, task.corpus.eval.documents)


def _precision(task: Task, device: Device) -> Precision:
    """Return this job's precision; a choice of an earlier start holds for the same measurement."""
    arguments = task.arguments
    valid_for = {
        "device": device.name,
        "processes": processes.here().count,
        **{name: getattr(arguments, name) for name in ("sequence_length", "lora_rank", "sharding")},
        **{name: getattr(arguments, name) for name in ("determinism", "kernels")},
        **task.sources,
    }
    mode = newest_configuration(task.checkpoints).get("fp8")
    kept = Kept(task.checkpoints, valid_for, None if mode is None else str(mode))
    return measured.decide(task.arguments, task.base_model, device, kept)


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
    arguments, group, length = task.arguments, processes.here(), task.arguments.sequence_length
    schedule = _schedule(arguments, len(task.corpus.train.rows), group)
    held_out = task.held_out(schedule, batching.rows_per_step(group.count))
    planned = batching.decide(decided.device, length, plan=plan, ranks=group.count)
    batches = planned.shrunk(shrinking.times())
    metric_lines.report_info(
        f"precision {decided.record().model_dump_json()} batching {asdict(batches)}"
    )
    metric_lines.report_info(held_out.described(of=len(task.corpus.eval.documents)))
    return TrainingRun(
        rows=task.corpus.train.rows,
        schedule=schedule,
        batching=batches,
        precision=decided,
        checkpoints=Checkpoints(task.checkpoints, _fingerprint(task, decided, group)),
        evaluate=lambda rows: evaluate(
            *(model, held_out.marked(rows), decided),
            rows_at_once=batches.micro_rows,
            stop=stop,
        ),
        held_out=held_out,
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
