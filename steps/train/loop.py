"""The optimizer loop, owned by transformers' Trainer: packed rows in, metric lines out, stopped at once by SIGTERM or
NaN.

Trainer counts the target tokens of a whole optimizer step and hands them to the model's `forward`, so the accumulated
gradient is that of the token mean, however the tokens fall into passes.
"""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from steps.governance.errors import GovernanceError
from steps.train import progress
from steps.train.batching import Batching
from steps.train.packing import Row, collate
from steps.train.precision import Precision
from steps.train.stopping import StopSignal

_WARM_UP = 0.03  # of all steps
_MAX_GRADIENT_NORM = 1.0


class Diverged(GovernanceError):
    """The loss or its gradient is no number any more."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train. `max_steps` -1: all of `epochs`."""

    epochs: int
    max_steps: int
    learning_rate: float
    seed: int


@dataclass
class Progress:
    """What the loop has done: one entry per optimizer step."""

    steps: int = 0
    tokens: int = 0
    target_tokens: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def train(
    model: PeftModel,
    rows: Sequence[Row],
    schedule: Schedule,
    *,
    batching: Batching,
    precision: Precision,
    stop: StopSignal,
) -> Progress:
    """Train the adapters in place.

    Raises:
        Stopped: SIGTERM came; the adapters are as the last full step left them.
        Diverged: the loss or the gradient is not finite.
    """
    done = Progress()
    with tempfile.TemporaryDirectory() as scratch:  # nothing is saved there; Trainer wants a place
        trainer = _CountingTrainer(
            model=model,
            args=_arguments(scratch, schedule, batching, precision),
            train_dataset=list(rows),
            data_collator=collate,
            callbacks=[_Reporter(done, stop)],
        )
        trainer.done = done
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    stop.check()
    return done


def _arguments(scratch: str, schedule: Schedule, batching: Batching, precision: Precision) -> TrainingArguments:
    on_cpu = precision.device.capability is None
    return TrainingArguments(
        output_dir=scratch,
        num_train_epochs=schedule.epochs,
        max_steps=schedule.max_steps,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=_WARM_UP,
        weight_decay=0.0,
        max_grad_norm=_MAX_GRADIENT_NORM,
        optim="adamw_torch_fused",
        per_device_train_batch_size=batching.micro_rows,
        gradient_accumulation_steps=batching.accumulation,
        bf16=precision.autocast,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,  # rows are lists of documents, not columns
        seed=schedule.seed,
        data_seed=schedule.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # the default hides a NaN loss
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


class _CountingTrainer(Trainer):
    """Trainer that counts what it has trained on. Rows hold no padding, so every token is a real one."""

    done: Progress

    def training_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        self.done.tokens += inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)


class _Reporter(TrainerCallback):
    """Prints each step, ends the loop on SIGTERM, refuses numbers that are none."""

    def __init__(self, done: Progress, stop: StopSignal) -> None:
        self._done, self._stop = done, stop
        self._began = time.perf_counter()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._done.steps = state.global_step
        self._done.seconds = time.perf_counter() - self._began
        control.should_training_stop |= self._stop.requested

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_training_stop |= self._stop.requested

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs: dict[str, float] = kwargs["logs"]
        if "loss" not in logs:
            return  # Trainer's summary
        metrics = self._metrics(state, logs)
        progress.report_step(state.global_step, **metrics)
        self._done.curve.append({"step": state.global_step, **metrics})
        _refuse_no_numbers(state.global_step, metrics)

    def _metrics(self, state: TrainerState, logs: dict[str, float]) -> dict[str, float]:
        rate = self._done.seconds / max(1, self._done.steps)
        memory = {"memory_gib": torch.cuda.max_memory_allocated() / 2**30} if torch.cuda.is_available() else {}
        return {
            "train_loss": float(logs["loss"]),
            "grad_norm": float(logs["grad_norm"]),
            "learning_rate": float(logs["learning_rate"]),
            "tokens_per_second": self._done.tokens / self._done.seconds,
            "eta_seconds": rate * (state.max_steps - state.global_step),
            **memory,
        }


def _refuse_no_numbers(step: int, metrics: dict[str, float]) -> None:
    if not all(math.isfinite(metrics[name]) for name in ("train_loss", "grad_norm")):
        raise Diverged(
            f"training diverged at step {step}",
            expected="a finite loss and gradient norm",
            got=f"loss {metrics['train_loss']}, gradient norm {metrics['grad_norm']}",
            do="lower LearningRate",
        )
