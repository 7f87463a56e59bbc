"""Out of memory: the same training with fewer rows at once, said once, from the last saved state.

An optimizer step keeps its rows: half of them at once means twice as many passes, and the accumulated gradient is the
same token mean. What follows is the same training up to rounding.
"""

from dataclasses import replace

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

from steps.governance.errors import GovernanceError
from steps.train.fine_tuning import training_loop
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.history import History
from steps.train.fine_tuning.training_loop import Course
from steps.train.planning.batching import Batching
from steps.train.tracking import metric_lines


class OutOfMemory(GovernanceError):
    """The device has no room for even the smallest pass."""


def train(model: PeftModel, course: Course, before: Evaluation) -> History:
    """`loop.train` from the newest checkpoint or from the start, with as little memory at once as it turns out to need.

    Raises:
        OutOfMemory: one row at a time, with every layer recomputed, is too much.
        Stopped, Diverged, Conflict, IntegrityError: see `loop.train` and `checkpoints`.
    """
    alone = course.processes.count == 1
    initial = (
        {name: tensor.detach().cpu().clone() for name, tensor in _adapters(model).items()}
        if alone
        else {}
    )
    while True:
        resume = course.newest()
        history = resume.history() if resume else History(before=before)
        if resume:
            history.resumed_from.append(resume.step)
            metric_lines.say(f"resuming from checkpoint-{resume.step}")
        try:
            training_loop.train(model, course, history, resume=resume)
        except torch.OutOfMemoryError as error:
            course = replace(course, batching=_smaller(course, str(error)))
        else:
            return history
        # outside the handler: the traceback held what the failed pass had allocated
        model.zero_grad(set_to_none=True)
        set_peft_model_state_dict(model, initial)
        torch.cuda.empty_cache()


def _adapters(model: PeftModel) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return state


def _smaller(course: Course, why: str) -> Batching:
    alone = (
        course.processes.count == 1
    )  # several cannot begin anew: the others wait in the middle of the failed step
    smaller = course.batching.smaller() if alone else None
    if smaller is None:
        raise OutOfMemory(
            "the device has no memory for one row"
            if alone
            else "one of several devices has no memory for its rows",
            expected=f"room for {course.batching} on {course.precision.device.name}",
            got=why.splitlines()[0][:200],
            do="lower SequenceLength or LoraRank, or choose a TrainInstanceType with more GPU memory",
        ) from None
    metric_lines.say(f"out of memory: going on with {smaller} instead of {course.batching}")
    return smaller
