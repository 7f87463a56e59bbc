"""After an out-of-memory error, continue from the last checkpoint with smaller passes.

An optimizer step keeps its rows. With half of them in each pass there are twice as many passes, and
the accumulated gradient is the mean over the same tokens. So the training is the same up to
rounding.

A single process does this itself. One of several ends instead, since the others wait for it in the
middle of the step, and the launcher starts all of them again (distributed/shrinking.py).
"""

from dataclasses import replace

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

from steps.train.distributed.shrinking import OutOfMemory
from steps.train.fine_tuning import training_loop
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.history import History
from steps.train.fine_tuning.run import TrainingRun
from steps.train.planning.batching import Batching
from steps.train.tracking import metric_lines


def train(model: PeftModel, run: TrainingRun, before: Evaluation) -> History:
    """Train from the newest checkpoint, or from the start, with passes that fit the memory.

    Each out-of-memory error is answered with the next smaller batching.

    Args:
        model: the model, with adapters that have not been trained yet.
        run: data, settings, and where to report and save.
        before: the evaluation of the base model, which starts a new history.

    Returns:
        The history of the finished training.

    Raises:
        OutOfMemory: one row does not fit although every layer recomputes.
        Stopped, Diverged, Conflict, IntegrityError: see training_loop.py and checkpoints.py.
    """
    single = run.processes.count == 1
    # The adapters before the first step, to start again from them; see `_smaller`.
    initial = (
        {name: tensor.detach().cpu().clone() for name, tensor in _adapters(model).items()}
        if single
        else {}
    )
    while True:
        resume = run.newest_checkpoint()
        history = resume.history() if resume else History(before=before)
        if resume:
            history.resumed_from.append(resume.step)
            metric_lines.report_info(f"resuming from checkpoint-{resume.step}")
        try:
            training_loop.train(model, run, history, resume=resume)
        except torch.OutOfMemoryError as error:
            run = replace(run, batching=_smaller(run, str(error)))
        else:
            return history
        # Not in the handler: its traceback refers to the tensors of the failed pass.
        model.zero_grad(set_to_none=True)
        set_peft_model_state_dict(model, initial)
        torch.cuda.empty_cache()


def _adapters(model: PeftModel) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return state


def _smaller(run: TrainingRun, reason: str) -> Batching:
    """Return the next smaller batching.

    Raises:
        OutOfMemory: this is the smallest, or the job has several processes.
    """
    smaller, group = run.batching.smaller(), run.processes
    if smaller is None or group.count > 1:
        rows = "one row" if smaller is None else f"{run.batching.micro_rows} rows in a pass"
        of = f" of process {group.rank + 1} of {group.count}" if group.count > 1 else ""
        error = OutOfMemory(
            f"the device{of} has no memory for {rows}",
            expected=f"room for {run.batching} on {run.precision.device.name}",
            got=reason.splitlines()[0][:200],
            do="lower SequenceLength or LoraRank, "
            "or choose a TrainInstanceType with more GPU memory",
        )
        error.shrinks = smaller is not None
        raise error from None
    metric_lines.report_info(f"out of memory: continuing with {smaller} instead of {run.batching}")
    return smaller
