"""Extend transformers' Trainer: several processes, our checkpoints, and checks for divergence.

`SharedTrainer` adds what several processes need. Trainer itself averages gradients over processes
by target tokens and wraps the model in DDP. Two things are added: an order of rows that does not
depend on the number of processes, and checkpoints of a sharded model. The latter store the
optimizer state as shards, which any number of processes can read, also a single one. Many processes
can also read the optimizer state that a single process wrote.

`FineTuneTrainer` adds our checkpoints, counts tokens, and refuses gradients that are not finite.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from steps.train.data.packing import Row, collate
from steps.train.distributed import fsdp
from steps.train.fine_tuning import trainer_settings
from steps.train.fine_tuning.divergence import Diverged
from steps.train.fine_tuning.history import History
from steps.train.fine_tuning.row_order import PaddedRows, RowOrder
from steps.train.fine_tuning.run import TrainingRun
from steps.train.model import lora
from steps.train.planning.flops import Tokens

_COUNTS = "counts"  # of a batch; the model does not get it


class SharedTrainer(Trainer):
    """Trainer for one or several processes, over a model that is whole in each or sharded."""

    _order: RowOrder

    def _get_train_sampler(self, train_dataset: Any = None) -> RowOrder:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        # A single process takes a smaller last pass, which costs less than a blank row.
        several = self.args.world_size > 1
        multiple = self.args.train_batch_size * self.args.world_size if several else 1
        self._order = RowOrder(len(rows), seed=self.args.seed, multiple=multiple)
        return self._order

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Set the sampler's epoch, then run the epoch.

        Trainer sets the epoch through the layers around the sampler. A single process that resumes
        has three layers, and several processes have four. accelerate 1.15 does not reach the
        sampler through four: it would repeat the order of the first epoch.
        """
        self._order.set_epoch(kwargs["epoch"])
        super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]  # Trainer has no types

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return the schedule of trainer_settings.py; Trainer has no such choice."""
        if self.lr_scheduler is None:
            used: Any = self.optimizer if optimizer is None else optimizer
            warm_up = self.args.get_warmup_steps(num_training_steps)
            rate = partial(trainer_settings.rate, warm_up=warm_up, steps=num_training_steps)
            self.lr_scheduler = LambdaLR(used, rate)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        """Reduce gradients after every pass: they stay sharded, and there are only the adapters'.

        Trainer's own method needs a configuration that only transformers' loader makes.
        """
        yield

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        model, optimizer, schedule = self._parts()
        if not fsdp.is_sharded(model):
            super()._save_optimizer_and_scheduler(output_dir)
            return
        fsdp.save(model, optimizer, Path(output_dir), leader=self.args.should_save)
        if self.args.should_save:
            torch.save(schedule.state_dict(), Path(output_dir, SCHEDULER_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Do nothing: `lora.load_adapters` has loaded the adapters before Trainer was made."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        folder, (model, optimizer, schedule) = Path(checkpoint), self._parts()
        if (folder / fsdp.FOLDER).exists():
            fsdp.load(model, optimizer, folder)
        elif fsdp.is_sharded(model):
            fsdp.load_whole(
                optimizer,
                torch.load(folder / OPTIMIZER_NAME, map_location="cpu", weights_only=True),
            )
        else:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        schedule.load_state_dict(torch.load(folder / SCHEDULER_NAME, weights_only=True))

    def _parts(self) -> tuple[Any, Any, Any]:
        """Return model, optimizer and schedule, which exist once training has begun."""
        return self.model, self.optimizer, self.lr_scheduler


class FineTuneTrainer(SharedTrainer):
    """Trainer that writes our checkpoints and also checks that gradients are finite."""

    _read_loss = 0.0  # of the current step, in this process

    def __init__(self, model: PeftModel, run: TrainingRun, history: History) -> None:
        super().__init__(
            model=model,
            args=trainer_settings.arguments(
                run.schedule, run.batching, run.precision, run.checkpoints.folder
            ),
            train_dataset=PaddedRows(run.rows),
            data_collator=_counted,
        )
        self.run, self.history = run, history
        self.step_tokens = Tokens(0, 0, 0)  # of this process, in the current optimizer step

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        """Return the passes of one optimizer step and their target tokens; count their tokens."""
        passes, targets = super().get_batch_samples(*args, **kwargs)
        self.step_tokens = sum((each.pop(_COUNTS) for each in passes), Tokens(0, 0, 0))
        return passes, targets

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Return 0: planning/flops.py counts, and Trainer's sum is one more transfer a step."""
        return 0

    def store_flos(self) -> None:
        """Store nothing, see `floating_point_ops`."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the adapters only. Trainer's own method also pickles its arguments."""
        assert isinstance(self.model, PeftModel)  # noqa: S101 - for the type checker
        lora.save_adapters(self.model, self.run.checkpoints.path(self.state.global_step))

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Write Trainer's files, then the history, then the seal; on failure, remove them."""
        checkpoints, step = self.run.checkpoints, self.state.global_step
        with checkpoints.writing(step, leader=self.args.should_save):
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.seal(step, self.history)
        self.accelerator.wait_for_everyone()

    def _clip_grad_norm(self, model: torch.nn.Module) -> float:
        """Clip the gradients, read norm and loss, and check that the norm is finite.

        This is the only transfer from the device in a step: everything queued must be done for it.
        `_maybe_log_save_evaluate` hands the loss that was read here to Trainer.

        Trainer calls this before the optimizer step, so a gradient that is refused here has not
        changed the adapters, and they can still be saved.

        Raises:
            Diverged: the norm of the gradients is not finite.
        """
        clip: Any = super()._clip_grad_norm  # Trainer has no types
        norm: Any = clip(model)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # of a sharded model
        self._read_loss, read_norm = torch.stack([self._tr_loss, norm.to(self._tr_loss)]).tolist()
        if not math.isfinite(read_norm):
            last_good = self.state.global_step
            if last_good:
                self._save_checkpoint(model, None)
            kept = f"; checkpoint-{last_good} keeps the last good state" if last_good else ""
            raise Diverged(
                f"training diverged at step {last_good + 1}",
                expected="a finite loss and gradient norm",
                got=f"loss {self._read_loss:g}, gradient norm {read_norm:g}",
                do=f"lower LearningRate{kept}",
            )
        return float(read_norm)

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Let Trainer log the loss that was read, over gloo where processes share it."""
        step = self.state.global_step
        logs = self.control.should_log and step > self._globalstep_last_logged
        loss = torch.tensor(self._read_loss) if logs else tr_loss
        super()._maybe_log_save_evaluate(loss, *args, **kwargs)
        if logs:
            tr_loss.zero_()


def _counted(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the batch of one pass with its counts, while both are on the host."""
    documents = chain.from_iterable(rows)
    return {**collate(rows), _COUNTS: Tokens.of(documents)}
