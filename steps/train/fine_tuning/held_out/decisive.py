"""The two evaluations on all held-out examples that decide: before training, and of the best step.

    before = of_base(run)
    decided = of_best(model, run, history)          # the best adapter is in the model afterwards

Gate reads the last `eval_loss` of the log, which is the best adapter's on all examples. Which
adapter is the best is decided by the evaluations on the way, all of the same examples.
"""

from dataclasses import dataclass

from peft import PeftModel

from steps.governance.errors import IntegrityError
from steps.train.fine_tuning.divergence import require_finite
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.held_out.measured import Passes
from steps.train.fine_tuning.history import EvaluationAtStep, History
from steps.train.fine_tuning.run import TrainingRun
from steps.train.model import lora
from steps.train.tracking import metric_lines

# Nats by which the loss of the reloaded best adapter may differ: sums vary on a GPU.
_SAME_LOSS = 0.01


@dataclass(frozen=True)
class Decided:
    """The best adapter's evaluation, that of the last step (None: left out), and all passes."""

    best: EvaluationAtStep
    last: Evaluation | None
    passes: Passes


def no_better(before: Evaluation, best: Evaluation) -> str:
    """Return a sentence for log and report if training did not lower the loss, else ""."""
    if best.loss < before.loss:
        return ""
    losses = f"{best.loss:.4g} against {before.loss:.4g} nats per target token"
    return f"the tuned model is not better than its base: {losses}"


def of_base(run: TrainingRun) -> Evaluation:
    """Return the base model's evaluation: adapters add nothing before their first step.

    It is made once; a restarted job reads it from the newest checkpoint.
    """
    resume = run.newest_checkpoint()
    before = resume.history().before if resume else None
    if before is None:
        measured = run.evaluate(run.held_out.whole)
        before = require_finite(measured, "before training", do="check the base model and Fp8Mode")
    metric_lines.report_evaluation(0, eval_loss_before=before.loss, eval_tokens=before.tokens)
    run.tracker.log(0, {"eval_loss": before.loss, "eval_perplexity": before.perplexity})
    return before


def of_best(model: PeftModel, run: TrainingRun, history: History) -> Decided:
    """Load the best adapter, measure it (`_measured`), and log it if it is not better."""
    decided = _measured(model, run, history)
    if history.before and (warning := no_better(history.before, decided.best.evaluation)):
        metric_lines.report_info(warning)
    return decided


def _measured(model: PeftModel, run: TrainingRun, history: History) -> Decided:
    """Load the adapter with the lowest loss into the model, and measure it on all examples.

    Its loss is reported last, because Gate reads the last metric line. The last step is measured
    on all examples too, unless evaluating would then take too large a share of the work.

    Raises:
        IntegrityError: the loaded adapter does not have the loss that was measured.
        Diverged: its loss on all examples is not finite.
    """
    best, at_end = history.best, history.evaluations[-1]
    assert best is not None  # noqa: S101 - the last step is always evaluated
    on_the_way = len(history.evaluations)
    if not run.held_out.is_sampled:
        # Each evaluation was of all examples
        if best.step != history.steps:
            _require_same(best, _reloaded(model, run, best))
            run.report(best)
        whole = on_the_way + 1 + (best.step != history.steps)
        return Decided(best, at_end.evaluation, Passes(whole, 0))
    last = None
    if best.step == history.steps or run.held_out.allows(
        Passes(3, on_the_way), trained=history.tokens
    ):
        last = run.evaluate(run.held_out.whole)
        if best.step != history.steps:
            run.report(EvaluationAtStep(history.steps, last))
    measured = last if best.step == history.steps else _reloaded(model, run, best)
    assert measured is not None  # noqa: S101 - made in one of the two lines above
    require_finite(measured, f"at step {best.step}", do="lower LearningRate")
    _require_same(best, measured)
    decided = EvaluationAtStep(best.step, measured)
    run.report(decided)
    passes = Passes(2 + (last is not None and best.step != history.steps), on_the_way)
    return Decided(decided, last, passes)


def _reloaded(model: PeftModel, run: TrainingRun, best: EvaluationAtStep) -> Evaluation:
    lora.load_adapters(model, run.checkpoints.path(best.step))
    return run.evaluate(run.held_out.whole)


def _require_same(best: EvaluationAtStep, reloaded: Evaluation) -> None:
    if not abs(reloaded.on_sample.loss - best.evaluation.loss) < _SAME_LOSS:
        raise IntegrityError(
            f"the best adapter, of step {best.step}, does not give its loss again",
            expected=f"{best.evaluation.loss:.6g} nats per target token",
            got=f"{reloaded.on_sample.loss:.6g}",
            do="start a new execution; if it happens again, report it with Determinism full",
        )
