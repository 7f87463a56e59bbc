"""The optimizer loop, owned by transformers' Trainer: packed rows in, metric lines out, a checkpoint wherever it may end.

    train(model, course, history, resume=course.newest())

Every `eval_steps` optimizer steps, and after the last one, the state is saved and then evaluated, in this order: whatever
ends the job, the evaluation is made up for when it starts again, so an interrupted run chooses the same best adapter as an
uninterrupted one. SIGTERM saves at the end of the running step. Which adapter is best, and when to stop early, is derived
from the history.

Trainer counts the target tokens of a whole optimizer step and hands them to the model's `forward`, so the accumulated
gradient is that of the token mean, however the tokens fall into passes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from steps.governance.errors import Conflict, GovernanceError
from steps.train.data.packing import IGNORED, Row, collate
from steps.train.distributed import processes
from steps.train.distributed.processes import Processes
from steps.train.fine_tuning import trainer_settings
from steps.train.fine_tuning.checkpoints import Checkpoint, Checkpoints
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.history import History, Measured
from steps.train.fine_tuning.row_order import Padded
from steps.train.fine_tuning.step_metrics import Reporter
from steps.train.fine_tuning.trainer import SharedTrainer
from steps.train.fine_tuning.trainer_settings import Schedule
from steps.train.model import lora, recomputation
from steps.train.model.precision import Precision
from steps.train.planning import devices
from steps.train.planning.batching import Batching
from steps.train.planning.flops import Tokens
from steps.train.stopping import StopSignal
from steps.train.tracking import metric_lines
from steps.train.tracking.tracker import Tracker


class Diverged(GovernanceError):
    """The loss or its gradient is no number any more."""


@dataclass(frozen=True)
class Course:
    """Everything one training needs beside the model and its history."""

    rows: Sequence[Row]
    schedule: Schedule
    batching: Batching
    precision: Precision
    checkpoints: Checkpoints
    evaluate: Callable[[], Evaluation]
    tracker: Tracker
    stop: StopSignal
    flops: Callable[[Tokens], int]  # of one training step over so many tokens
    processes: Processes = field(default_factory=processes.here)

    def newest(self) -> Checkpoint | None:
        """The newest complete state, which must be the same for every process.

        Raises:
            Conflict: hosts hold different ones, or one of another configuration.
        """
        newest = self.checkpoints.latest()
        steps = self.processes.gather(newest.step if newest else 0)
        if len(set(steps)) > 1:
            raise Conflict(
                "the hosts hold different checkpoints",
                expected="one newest",
                got=f"of steps {steps}",
            )
        return newest


def train(model: PeftModel, course: Course, history: History, *, resume: Checkpoint | None) -> None:
    """Train the adapters in place, from `resume` or from where they stand; `history` is continued.

    Raises:
        Stopped: SIGTERM came; the state is saved, if a step was made.
        Diverged: the loss or the gradient is not finite; the last good state is saved.
    """
    if resume is not None:
        lora.load_adapters(model, resume.folder)
        _measure(resume.step, course, history)
    recomputation.apply(model, course.batching.recomputed_layers)
    if not _ended(course, history):
        trainer = _Trainer(
            model=model,
            args=trainer_settings.arguments(
                course.schedule, course.batching, course.precision, course.checkpoints.folder
            ),
            train_dataset=Padded(course.rows),
            data_collator=collate,
        )
        trainer.course, trainer.history, trainer.seen = course, history, Tokens(0, 0, 0)
        trainer.add_callback(_Life(trainer))
        trainer.remove_callback(PrinterCallback)
        try:
            trainer.train(resume_from_checkpoint=str(resume.folder) if resume else None)
        finally:  # Trainer leaves its autocast around `forward`; the next one would put another around it
            trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
    course.stop.check()


def _ended(course: Course, history: History) -> bool:
    return history.steps >= course.schedule.steps or history.out_of_patience(
        course.schedule.patience
    )


def _measure(step: int, course: Course, history: History) -> None:
    """Evaluate the state after `step`, if that is due and was not done; keep the best state and the newest only."""
    if not course.schedule.due(step) or history.evaluated(step):
        return
    measured = Measured(
        step, require_finite(course.evaluate(), f"at step {step}", do="lower LearningRate")
    )
    history.evaluations.append(measured)
    report(measured, course)
    if course.processes.is_leader:
        course.checkpoints.write_evaluation(measured)
        best = history.best
        course.checkpoints.prune(keep={step, best.step if best else step})


def report(measured: Measured, course: Course) -> None:
    """One metric line for an evaluation."""
    evaluation = measured.evaluation
    metrics = {
        "eval_loss": evaluation.loss,
        "eval_perplexity": evaluation.perplexity,
        "eval_tokens": evaluation.tokens,
    }
    metric_lines.report_evaluation(measured.step, **metrics)
    course.tracker.log(measured.step, metrics)


def require_finite(evaluation: Evaluation, when: str, *, do: str) -> Evaluation:
    """The evaluation, if its loss is a number.

    Raises:
        Diverged: it is none.
    """
    if not math.isfinite(evaluation.loss):
        raise Diverged(
            f"the eval loss {when} is no number",
            expected="a finite loss",
            got=str(evaluation.loss),
            do=do,
        )
    return evaluation


class _Trainer(SharedTrainer):
    """Trainer with our checkpoints, and with its eyes open to numbers that are none."""

    course: Course
    history: History
    seen: Tokens  # by this process, in the optimizer step at hand

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        """The passes of one optimizer step."""
        passes, targets = super().get_batch_samples(*args, **kwargs)
        self.seen = sum(map(_tokens, passes), Tokens(0, 0, 0))
        return passes, targets

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Adapters only: Trainer's own also pickles its arguments."""
        assert isinstance(self.model, PeftModel)  # noqa: S101 - for the type checker: `train` was given one
        lora.save_adapters(self.model, self.course.checkpoints.path(self.state.global_step))

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Trainer's files, then ours, then the seal; a failure leaves no half of it."""
        checkpoints, step = self.course.checkpoints, self.state.global_step
        with checkpoints.writing(step, leader=self.args.should_save):
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.seal(step, self.history)
        self.accelerator.wait_for_everyone()

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor:
        """Called before the optimizer's step: what is refused here has not touched the adapters."""
        norm: torch.Tensor = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]  # Trainer has no types
        if not math.isfinite(float(norm)):
            kept = self.state.global_step
            if kept:
                self._save_checkpoint(model, None)
            raise Diverged(
                f"training diverged at step {kept + 1}",
                expected="a finite loss and gradient norm",
                got=f"loss {float(self._tr_loss):g}, gradient norm {float(norm):g}",
                do=f"lower LearningRate{f'; checkpoint-{kept} keeps the last good state' if kept else ''}",
            )
        return norm


def _tokens(batch: dict[str, Any]) -> Tokens:
    """What one pass goes over. Rows hold no padding: every token is a real one."""
    lengths = batch["cu_seq_lens_q"].diff().long()
    pairs = lengths * (lengths + 1) // 2
    return Tokens(int(lengths.sum()), int(pairs.sum()), int((batch["labels"] != IGNORED).sum()))


class _Life(TrainerCallback):
    """When to save, evaluate and end, and what is said of each step."""

    def __init__(self, trainer: _Trainer) -> None:
        self._trainer, self._course, self._history = trainer, trainer.course, trainer.history
        peak = devices.peak_flops(self._course.precision.device.name)
        of_all = peak * self._course.processes.count if peak else None
        self._reporter = Reporter(self._history, self._course.tracker, peak_flops=of_all)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._reporter.begin()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._history.steps = state.global_step
        seen = sum(self._course.processes.gather(self._trainer.seen), Tokens(0, 0, 0))
        self._reporter.step_ended(seen.tokens, self._course.flops(seen))
        stopped = self._course.stop.is_set()
        control.should_save = stopped or self._course.schedule.due(state.global_step)
        control.should_training_stop |= stopped

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._course.stop.is_set():  # the state is safe; its evaluation is made up for
            control.should_training_stop = True
        else:
            _measure(state.global_step, self._course, self._history)
            control.should_training_stop |= _ended(self._course, self._history)
        self._reporter.begin()  # saving and evaluating is not training

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        logs: dict[str, float] = kwargs["logs"]
        if "loss" in logs:  # else Trainer's summary
            self._reporter.report(state, logs)
