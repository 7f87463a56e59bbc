"""What a training is told, and what of it transformers' Trainer is told in its own words."""

from dataclasses import dataclass
from pathlib import Path

from transformers import TrainingArguments

from steps.train.model.precision import Precision
from steps.train.planning.batching import Batching

_WARM_UP = 0.03  # of all steps
_MAX_GRADIENT_NORM = 1.0
_OPTIMIZERS = {  # hyperparameter → Trainer's name; 8-bit state by bitsandbytes, tensors below 4,096 elements stay float32
    "adamw": "adamw_torch_fused",
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
}


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train, counted in optimizer steps. `patience` in evaluations; 0: never early."""

    steps: int
    learning_rate: float
    seed: int
    optimizer: str
    eval_steps: int
    patience: int

    def due(self, step: int) -> bool:
        """Whether the state after `step` is to be evaluated."""
        return step > 0 and (step % self.eval_steps == 0 or step >= self.steps)


def arguments(
    schedule: Schedule, batching: Batching, precision: Precision, folder: Path
) -> TrainingArguments:
    """Trainer's own arguments; checkpoints go below `folder`."""
    on_cpu = precision.device.capability is None
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=schedule.steps,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=_WARM_UP,
        weight_decay=0.0,
        max_grad_norm=_MAX_GRADIENT_NORM,
        optim=_OPTIMIZERS[schedule.optimizer],
        per_device_train_batch_size=batching.micro_rows,
        gradient_accumulation_steps=batching.accumulation,
        bf16=precision.autocast,
        use_cpu=on_cpu,
        ddp_find_unused_parameters=False,  # every adapter takes part in every pass
        ddp_broadcast_buffers=False,  # they never change
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,  # rows are lists of documents, not columns
        seed=schedule.seed,
        data_seed=schedule.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # the default hides a NaN loss
        save_strategy="no",  # `_Life` says when
        report_to="none",
        disable_tqdm=True,
    )
