"""Load the base and its adapters: whole on the device of each process, or split among all of them.

    plan = plan_sharding(arguments, plan, device, count)      the memory plan of one process
    model = load(arguments, folder, precision, split=plan.shards > 1)

The hyperparameter `sharding` decides. With ddp every GPU holds the whole base, and processes
exchange only the gradients of the adapters. With fsdp the base is split. auto is ddp, unless one
GPU has no memory for the base and one row.
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


def plan_sharding(arguments: Arguments, plan: Plan, device: Device, count: int) -> Plan:
    """Return the plan of each of `count` processes, with the base split among them or not.

    A single process always holds the whole base.

    Raises:
        UsageError: the requested mode or optimizer does not support a split base.
    """
    sharding = arguments.sharding
    if count == 1 or sharding == "ddp":
        return plan
    if sharding == "auto" and _fits(device, arguments.sequence_length, plan, count):
        return plan
    for value, unsupported in (
        (plan.mode, ("nf4",)),
        (plan.optimizer, ("adamw_8bit", "paged_adamw_8bit")),
    ):
        if value in unsupported:
            raise UsageError(
                f"{value} cannot be used with a base that is split among GPUs",
                expected="Fp8Mode other than nf4 and Optimizer adamw: "
                "bitsandbytes knows no split tensors",
                got=f"sharding {sharding} on {count} processes",
                do="choose those, or train.sharding ddp where the base fits one GPU",
            )
    return replace(plan, shards=count)


def _fits(device: Device, sequence_length: int, plan: Plan, count: int) -> bool:
    """Return whether one device has memory for the whole base and one row at a time."""
    try:
        batching.decide(device, sequence_length, plan=plan, ranks=count)
    except UsageError:
        return False
    return True


def load(arguments: Arguments, folder: Path, precision: Precision, *, split: bool) -> PeftModel:
    """Load the base model, add adapters, and split it among the processes if `split`.

    Raises:
        IntegrityError: the base model's files are inconsistent.
    """
    count = processes.here().count
    if count > 1:
        held = "fsdp: each holds a part of the base" if split else "ddp: each holds the base"
        metric_lines.report_info(f"{count} processes; {held}")
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
