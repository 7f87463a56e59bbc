"""Train the adapters with transformers' Trainer: packed rows in, metric lines and checkpoints out.

    train(model, run, history, resume=run.newest_checkpoint())

Every `eval_steps` optimizer steps, and after the last one, the state is first saved and then
evaluated. If the job ends between the two, the next start evaluates the saved state before it
trains on. So an interrupted run chooses the same best adapter as one that was not interrupted. On
SIGTERM the state is saved at the end of the current step. The best adapter and early stopping are
computed from the history.

Trainer counts the target tokens of a whole optimizer step and passes their number to the model's
`forward`. The accumulated gradient is therefore that of the mean over tokens, however the tokens
are distributed over passes.
"""

from peft import PeftModel
from transformers import PrinterCallback

from steps.train.fine_tuning.callback import CheckpointCallback
from steps.train.fine_tuning.checkpoints import Checkpoint
from steps.train.fine_tuning.history import History
from steps.train.fine_tuning.run import TrainingRun
from steps.train.fine_tuning.trainer import FineTuneTrainer
from steps.train.model import lora, recomputation


def train(
    model: PeftModel, run: TrainingRun, history: History, *, resume: Checkpoint | None
) -> None:
    """Train the adapters in place and continue `history`.

    Args:
        model: the model; its adapters are replaced if `resume` is given.
        run: data, settings, and where to report and save.
        history: what the run has done so far.
        resume: the checkpoint to start from; None starts from the adapters as they are.

    Raises:
        Stopped: SIGTERM was received; the state is saved if at least one step was made.
        Diverged: the loss or the gradient is not finite; the last good state is saved.
    """
    if resume is not None:
        lora.load_adapters(model, resume.folder)
        run.evaluate_if_due(resume.step, history)
    recomputation.apply(model, run.batching.recomputed_layers)
    if not run.is_finished(history):
        trainer = FineTuneTrainer(model, run, history)
        trainer.add_callback(CheckpointCallback(trainer))
        trainer.remove_callback(PrinterCallback)
        try:
            trainer.train(resume_from_checkpoint=str(resume.folder) if resume else None)
        finally:
            # Trainer wraps `forward` in autocast and leaves it so; the next Trainer would wrap it
            # a second time.
            trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
    run.stop.check()
