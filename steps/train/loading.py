"""Base and adapters in memory: whole on the device of each process, or split among all of them.

    tuned = load(arguments, folder, precision)

`sharding` decides: ddp keeps a whole base on every GPU, and only the adapters' gradients travel; fsdp splits it; auto is
ddp, and fsdp only where the base leaves too little of a GPU for training.
"""

from pathlib import Path

import torch
from peft import PeftModel

from steps.governance.errors import UsageError
from steps.train import base_weights, lora, model, processes, progress, sharding
from steps.train.arguments import Arguments
from steps.train.precision import Precision

_FULL = 0.6  # of a device's memory for weights; the rest is for activations, adapters and their optimizer
_CPU = torch.device("cpu")


def load(arguments: Arguments, folder: Path, precision: Precision) -> PeftModel:
    """The model to train.

    Raises:
        IntegrityError: the base model is not what it says it is.
        UsageError: a split base cannot be combined with something else that was asked for.
    """
    count = processes.here().count
    split = must_split(arguments, folder, precision, count)
    if count > 1:
        progress.say(
            f"{count} processes; {'fsdp: each holds a part of the base' if split else 'ddp: each holds the base'}"
        )
    base = model.load(folder, precision, on=_CPU if split else None)
    tuned = lora.add_adapters(
        base, arguments.lora_rank, base_model=arguments.base_model, revision=arguments.base_model_revision
    )
    if split:
        sharding.shard(tuned, precision.device.torch_device, count)
    return tuned


def must_split(arguments: Arguments, folder: Path, precision: Precision, count: int) -> bool:
    """Whether to split the base. One process has nobody to share it with.

    Raises:
        UsageError: a split base cannot be combined with something else that was asked for.
    """
    asked = arguments.sharding
    if count == 1 or asked == "ddp" or (asked == "auto" and not _too_big(folder, precision)):
        return False
    for value, whole_only in (
        (arguments.fp8_mode, ("nf4",)),
        (arguments.optimizer, ("adamw_8bit", "paged_adamw_8bit")),
    ):
        if value in whole_only:
            raise UsageError(
                f"{value} cannot be used with a base that is split among GPUs",
                expected="Fp8Mode other than nf4 and Optimizer adamw: bitsandbytes knows no split tensors",
                got=f"sharding {asked} on {count} processes",
                do="choose those, or train.sharding ddp where the base fits one GPU",
            )
    return True


def _too_big(folder: Path, precision: Precision) -> bool:
    """Whether the weights leave too little of one GPU's memory for training."""
    if precision.device.capability is None:
        return False
    on_disk = sum(path.stat().st_size for path in base_weights.files(folder))
    held = on_disk * (2 if precision.effective == "off" else 1)
    return held > _FULL * torch.cuda.get_device_properties(precision.device.torch_device).total_memory
