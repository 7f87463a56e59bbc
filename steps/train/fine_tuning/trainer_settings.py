"""Settings of a training, and their translation to transformers' `TrainingArguments`."""

import math
from dataclasses import dataclass
from pathlib import Path

from transformers import TrainingArguments, enable_full_determinism, set_seed

from steps.train.model.precision import Precision
from steps.train.planning.batching import Batching

_WARM_UP = 0.03  # of all steps
_MAX_GRADIENT_NORM = 1.0
# Hyperparameter → Trainer's name. The 8-bit state is bitsandbytes'; its tensors of fewer than 4,096
# elements stay in float32.
_OPTIMIZERS = {
    "adamw": "adamw_torch_fused",
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
}


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a training, counted in optimizer steps.

    Attributes:
        steps: optimizer steps in all.
        learning_rate: the peak, after the warm-up.
        seed: of the order of rows.
        optimizer: a key of `_OPTIMIZERS`.
        eval_steps: steps between two evaluations.
        patience: evaluations without improvement before training ends early; 0 disables this.
    """

    steps: int
    learning_rate: float
    seed: int
    optimizer: str
    eval_steps: int
    patience: int

    def due(self, step: int) -> bool:
        """Return whether the state after `step` must be evaluated."""
        return step > 0 and (step % self.eval_steps == 0 or step >= self.steps)


def seed_generators(determinism: str, seed: int) -> None:
    """Seed all random generators. Call this before the first random number and before CUDA starts.

    Args:
        determinism: `seeded` fixes the adapters' initial weights, the packing and the order of
            rows. Two runs are then bit-equal on CPU; on a GPU the order of additions may differ.
            `full` also selects deterministic kernels, which are slower; an operation without one
            raises.
        seed: of every generator.
    """
    if determinism == "full":
        enable_full_determinism(seed)
    else:
        set_seed(seed)


def rate(step: int, *, warm_up: int, steps: int) -> float:
    """Return the share of the learning rate for the step after `step` steps, above 0 for all.

    It rises in a line over the warm-up and falls as a cosine. transformers' own schedule begins at
    0, so its first step changes nothing; with MaxSteps=1 that would be the whole training.
    """
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    progress = (step - warm_up) / max(1, steps - warm_up)
    return max(0.0, (1 + math.cos(math.pi * progress)) / 2)


def arguments(
    schedule: Schedule, batching: Batching, precision: Precision, folder: Path
) -> TrainingArguments:
    """Return Trainer's arguments; checkpoints are written below `folder`."""
    on_cpu = precision.device.capability is None
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=schedule.steps,
        learning_rate=schedule.learning_rate,
        warmup_steps=_WARM_UP,
        weight_decay=0.0,
        max_grad_norm=_MAX_GRADIENT_NORM,
        optim=_OPTIMIZERS[schedule.optimizer],
        per_device_train_batch_size=batching.micro_rows,
        gradient_accumulation_steps=batching.accumulation,
        bf16=precision.autocast,
        use_cpu=on_cpu,
        ddp_find_unused_parameters=False,  # every pass uses every adapter
        ddp_broadcast_buffers=False,  # buffers never change
        dataloader_pin_memory=not on_cpu,
        accelerator_config={"non_blocking": not on_cpu},  # a copy that blocks waits for the GPU
        remove_unused_columns=False,  # rows are lists of documents, not columns
        seed=schedule.seed,
        data_seed=schedule.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # the default hides a NaN loss
        save_strategy="no",  # CheckpointCallback decides when to save
        report_to="none",
        disable_tqdm=True,
    )
