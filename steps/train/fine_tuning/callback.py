"""Decide after each optimizer step whether to save, to evaluate and to end the training."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from steps.train.fine_tuning.step_metrics import Reporter
from steps.train.fine_tuning.trainer import FineTuneTrainer
from steps.train.planning import devices
from steps.train.planning.flops import Tokens


class CheckpointCallback(TrainerCallback):
    """Saves and then evaluates when that is due or SIGTERM was received, and reports each step."""

    def __init__(self, trainer: FineTuneTrainer) -> None:
        self._trainer, self._run, self._history = trainer, trainer.run, trainer.history
        peak = devices.peak_flops(self._run.precision.device.name)
        peak_of_all = peak * self._run.processes.count if peak else None
        self._reporter = Reporter(self._history, self._run.tracker, peak_flops=peak_of_all)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock of the first step."""
        self._reporter.begin()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count the tokens of all processes; save if it is due or SIGTERM was received."""
        self._history.steps = state.global_step
        tokens = sum(self._run.processes.gather(self._trainer.step_tokens), Tokens(0, 0, 0))
        self._reporter.step_ended(tokens.tokens, self._run.flops(tokens))
        stopped = self._run.stop.is_set()
        control.should_save = stopped or self._run.schedule.due(state.global_step)
        control.should_training_stop |= stopped

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Evaluate if it is due; end the training if it is finished or SIGTERM was received."""
        if self._run.stop.is_set():
            # The state is saved. If its evaluation is due, the next start of the job makes it.
            control.should_training_stop = True
        else:
            self._run.evaluate_if_due(state.global_step, self._history)
            control.should_training_stop |= self._run.is_finished(self._history)
        self._reporter.begin()  # saving and evaluating do not count as training time

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Report the metrics of the step, if Trainer's log has a loss."""
        logs: dict[str, float] = kwargs["logs"]
        if "loss" in logs:  # Trainer's summary at the end does not
            self._reporter.report(state, logs)
