"""A training run: its data, its settings, and where it reports and saves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from steps.governance.errors import Conflict
from steps.train.data.corpus import Rows
from steps.train.data.packing import Row
from steps.train.distributed import processes
from steps.train.distributed.processes import Processes
from steps.train.fine_tuning.checkpoints import Checkpoint, Checkpoints
from steps.train.fine_tuning.divergence import require_finite
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.held_out.measured import HeldOut
from steps.train.fine_tuning.history import EvaluationAtStep, History
from steps.train.fine_tuning.trainer_settings import Schedule
from steps.train.model.precision import Precision
from steps.train.planning.batching import Batching
from steps.train.planning.flops import Tokens
from steps.train.stopping import StopSignal
from steps.train.tracking import metric_lines
from steps.train.tracking.tracker import Tracker


@dataclass(frozen=True)
class TrainingRun:
    """Everything that a training needs in addition to the model and its history.

    Attributes:
        rows: packed rows of the training split.
        schedule: length and learning rate.
        batching: rows and passes of an optimizer step.
        precision: the arithmetic of the model.
        checkpoints: the folder of the training state.
        evaluate: evaluates the model as it is now, on all held-out examples or on the sample.
        held_out: both of these sets.
        tracker: receives metrics.
        stop: whether SIGTERM was received.
        flops: returns the operations of one step over so many tokens.
        processes: the processes of this job.
    """

    rows: Sequence[Row]
    schedule: Schedule
    batching: Batching
    precision: Precision
    checkpoints: Checkpoints
    evaluate: Callable[[Rows], Evaluation]
    held_out: HeldOut
    tracker: Tracker
    stop: StopSignal
    flops: Callable[[Tokens], int]
    processes: Processes = field(default_factory=processes.here)

    def newest_checkpoint(self) -> Checkpoint | None:
        """Return the newest complete checkpoint, which must be the same in every process.

        Raises:
            Conflict: the hosts have different ones, or it belongs to another configuration.
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

    def is_finished(self, history: History) -> bool:
        """Return whether all steps are done, or evaluations have stopped improving."""
        done = history.steps >= self.schedule.steps
        return done or history.out_of_patience(self.schedule.patience)

    def evaluate_if_due(self, step: int, history: History) -> None:
        """Evaluate the state after `step` if that is due and has not been done.

        The sample is measured. The result is added to the history and to the checkpoint. Then all
        checkpoints are removed except the best and the newest.

        Raises:
            Diverged: the loss is not finite.
            Stopped: SIGTERM was received.
        """
        if not self.schedule.due(step) or history.evaluated(step):
            return
        measured = self.evaluate(self.held_out.sample)
        evaluation = require_finite(measured, f"at step {step}", do="lower LearningRate")
        evaluated = EvaluationAtStep(step, evaluation)
        history.evaluations.append(evaluated)
        self.report(evaluated, sampled=self.held_out.is_sampled)
        if self.processes.is_leader:
            self.checkpoints.write_evaluation(evaluated)
            best = history.best
            self.checkpoints.prune(keep={step, best.step if best else step})

    def report(self, evaluated: EvaluationAtStep, *, sampled: bool = False) -> None:
        """Write the metric line of an evaluation, and send its metrics to the tracker.

        `eval_loss`, by which Gate decides, is never the loss of a sample.
        """
        evaluation = evaluated.evaluation
        if sampled:
            metrics = {"eval_sample_loss": evaluation.loss, "eval_sample_tokens": evaluation.tokens}
        else:
            metrics = {
                "eval_loss": evaluation.loss,
                "eval_perplexity": evaluation.perplexity,
                "eval_tokens": evaluation.tokens,
            }
        metric_lines.report_evaluation(evaluated.step, **metrics)
        self.tracker.log(evaluated.step, metrics)
