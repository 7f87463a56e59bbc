"""transformers' Trainer where several processes share the work, and a checkpoint may be of another number of them.

Trainer itself averages gradients over processes by target tokens and wraps the model in DDP. Added here: an order of rows
that does not depend on the number of processes, and the state of a sharded model: its optimizer's state lies in the
checkpoint as shards, which any number of processes can read, one too; a whole state of one process can be read by many.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from steps.train.distributed import fsdp
from steps.train.fine_tuning.row_order import Order


class SharedTrainer(Trainer):
    """Trainer for one process or many, over a model that is whole in each or sharded."""

    _order: Order

    def _get_train_sampler(self, train_dataset: Any = None) -> Order:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        # alone, the last rows of an epoch are a smaller pass, which costs less than a blank row
        multiple = (
            self.args.train_batch_size * self.args.world_size if self.args.world_size > 1 else 1
        )
        self._order = Order(len(rows), seed=self.args.seed, multiple=multiple)
        return self._order

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Trainer tells the sampler its epoch through the layers around it. One process that resumes has three of them,
        several have four, and there accelerate 1.15 stops short: it would begin the first epoch's order again.
        """
        self._order.set_epoch(kwargs["epoch"])
        super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]  # Trainer has no types

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        """Reduce after every pass: gradients stay sharded, and only adapters' travel. (Trainer's own way asks for a
        configuration that only transformers' loader makes.)
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
        """Nothing: `lora.load_adapters` did it, for whole and for sharded models, before there was a Trainer."""

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
        """Model, optimizer and schedule, which are there as soon as training has begun."""
        return self.model, self.optimizer, self.lr_scheduler
