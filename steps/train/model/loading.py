"""Base and adapters in memory: whole on the device of each process, or split among all of them.

    plan = shared_out(arguments, plan, device, count)      the memory plan of one process
    tuned = load(arguments, folder, precision, split=plan.shards > 1)

`sharding` decides: ddp keeps a whole base on every GPU, and only the adapters' gradients travel; fsdp splits it; auto is
ddp, and fsdp only where one GPU is too small for the base and one row.
"""

from dataclasses import replace
from pathlib import Path

import torch
from peft import PeftModel

from steps.governance.errors import UsageError
from steps.train.arguments import Arguments
from steps.train.distributed import fsdp, processes
from steps.train.model import lora, ministral
from steps.train.model.precision import Precision
from steps.train.planning import batching
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan
from steps.train.tracking import metric_lines

_CPU = torch.device("cpu")


def shared_out(arguments: Arguments, plan: Plan, device: Device, count: int) -> Plan:
    """The plan of each of `count` processes, with the base split among them or not. One has nobody to share it with.

    Raises:
        UsageError: a split base cannot be combined with something else that was asked for.
    """
    asked = arguments.sharding
    if (
        count == 1
        or asked == "ddp"
        or (asked == "auto" and _fits(device, arguments.sequence_length, plan, count))
    ):
        return plan
    for value, whole_only in (
        (plan.mode, ("nf4",)),
        (plan.optimizer, ("adamw_8bit", "paged_adamw_8bit")),
    ):
        if value in whole_only:
            raise UsageError(
                f"{value} cannot be used with a base that is split among GPUs",
                expected="Fp8Mode other than nf4 and Optimizer adamw: bitsandbytes knows no split tensors",
                got=f"sharding {asked} on {count} processes",
                do="choose those, or train.sharding ddp where the base fits one GPU",
            )
    return replace(plan, shards=count)


def _fits(device: Device, sequence_length: int, plan: Plan, count: int) -> bool:
    """Whether one device has room for the whole base and one row at a time."""
    try:
        batching.decide(device, sequence_length, plan=plan, ranks=count)
    except UsageError:
        return False
    return True


def load(arguments: Arguments, folder: Path, precision: Precision, *, split: bool) -> PeftModel:
    """The model to train.

    Raises:
        IntegrityError: the base model is not what it says it is.
    """
    count = processes.here().count
    if count > 1:
        metric_lines.say(
            f"{count} processes; {'fsdp: each holds a part of the base' if split else 'ddp: each holds the base'}"
        )
    base = ministral.load(folder, precision, on=_CPU if split else None)
    tuned = lora.add_adapters(
        base,
        arguments.lora_rank,
        base_model=arguments.base_model,
        revision=arguments.base_model_revision,
    )
    if split:
        fsdp.shard(tuned, precision.device.torch_device, count)
    return tuned
