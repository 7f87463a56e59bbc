"""Report each optimizer step: a metric line, an entry of the loss curve and values for MLflow."""

import resource
import time
from collections.abc import Mapping

import torch
from transformers import TrainerState

from steps.train.fine_tuning.history import History
from steps.train.tracking import metric_lines
from steps.train.tracking.tracker import Tracker

_FROM_TRAINER = {"train_loss": "loss", "grad_norm": "grad_norm", "learning_rate": "learning_rate"}


class Reporter:
    """Measures the time of optimizer steps and reports their metrics."""

    def __init__(self, history: History, tracker: Tracker, *, peak_flops: float | None) -> None:
        """Start the clock.

        Args:
            history: the history to continue.
            tracker: receives the metrics.
            peak_flops: bfloat16 operations per second of all devices; None omits MFU.
        """
        self._history, self._tracker, self._peak = history, tracker, peak_flops
        self._step_began = time.perf_counter()
        self._first_step, self._seconds_here = history.steps, 0.0

    def begin(self) -> None:
        """Start the clock of the next step."""
        self._step_began = time.perf_counter()

    def step_ended(self, tokens: int, flops: int) -> None:
        """Add a step to the history, and start the clock of the next one.

        Args:
            tokens: tokens of the step.
            flops: operations that the model needs for them.
        """
        seconds = time.perf_counter() - self._step_began
        self._history.seconds += seconds
        self._history.tokens += tokens
        self._history.flops += flops
        self._seconds_here += seconds
        self.begin()

    def report(self, state: TrainerState, logs: Mapping[str, float]) -> None:
        """Report the metrics of the step that has ended."""
        metrics = {name: float(logs[key]) for name, key in _FROM_TRAINER.items()}
        metrics |= self._measured(state)
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


def peak_memory_bytes() -> int:
    """Return the peak memory of this process so far: on its GPU, or else its peak RSS."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
