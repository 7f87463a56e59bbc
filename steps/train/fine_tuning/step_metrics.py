"""What is said of each optimizer step: one metric line, one entry of the loss curve, one value for MLflow."""

import resource
import time
from collections.abc import Mapping

import torch
from transformers import TrainerState

from steps.train.fine_tuning.history import History
from steps.train.tracking import metric_lines
from steps.train.tracking.tracker import Tracker


class Reporter:
    """Measures the time spent in steps and reports each."""

    def __init__(self, history: History, tracker: Tracker, *, peak_flops: float | None) -> None:
        """`peak_flops`: of the device, operations per second in bfloat16; None where it is not known."""
        self._history, self._tracker, self._peak = history, tracker, peak_flops
        self._since = time.perf_counter()
        self._first_step, self._seconds_here = history.steps, 0.0

    def begin(self) -> None:
        """The next step begins now."""
        self._since = time.perf_counter()

    def step_ended(self, tokens: int, flops: int) -> None:
        """A step over so many tokens, for which the model needs so many operations, has ended; the next one begins."""
        seconds = time.perf_counter() - self._since
        self._history.seconds += seconds
        self._history.tokens += tokens
        self._history.flops += flops
        self._seconds_here += seconds
        self.begin()

    def report(self, state: TrainerState, logs: Mapping[str, float]) -> None:
        """Say what the step gave."""
        metrics = {name: float(logs[key]) for name, key in _FROM_TRAINER.items()} | self._measured(
            state
        )
        metric_lines.report_step(state.global_step, **metrics)
        self._history.curve.append({"step": state.global_step, **metrics})
        self._tracker.log(state.global_step, metrics)

    def _measured(self, state: TrainerState) -> dict[str, float]:
        per_step = self._seconds_here / max(1, state.global_step - self._first_step)
        history = self._history
        mfu = {"mfu": history.flops / history.seconds / self._peak} if self._peak else {}
        return {
            "tokens_per_second": history.tokens / history.seconds,
            **mfu,
            "memory_gib": peak_memory_bytes() / 2**30,
            "eta_seconds": per_step * (state.max_steps - state.global_step),
        }


_FROM_TRAINER = {"train_loss": "loss", "grad_norm": "grad_norm", "learning_rate": "learning_rate"}


def peak_memory_bytes() -> int:
    """The most this process has held so far: on its GPU, or where there is none, resident in main memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
