"""The precision of a job: what Fp8Mode means on this device, and for `auto` what was measured.

    decided = decide(arguments, folder, Device.here(), kept)

Every process calls it. The leader times the modes and all processes take its choice, so that all
ranks compute the same. Only a GPU is timed; on the CPU `auto` is storage.
"""

import gc
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from steps.governance.documents.precision import Choice, Tried
from steps.governance.errors import UsageError
from steps.train.arguments import Arguments
from steps.train.distributed import processes
from steps.train.model import loading, ministral, precision
from steps.train.model.choosing import decision, kernel_check, trial
from steps.train.model.choosing.kept import Kept
from steps.train.model.choosing.layer import RandomLayer
from steps.train.model.choosing.trial import Candidate, Watch
from steps.train.model.precision import Precision
from steps.train.planning import batching
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan
from steps.train.tracking import metric_lines


def decide(arguments: Arguments, folder: Path, device: Device, kept: Kept) -> Precision:
    """Return the precision of this job, the same in every process.

    Args:
        arguments: the hyperparameters.
        folder: the verified base model.
        device: of this process.
        kept: the choice of an earlier start of this job.

    Raises:
        UsageError: the device or the image does not support the mode, or no mode runs.
    """
    requested = precision.decide(arguments.fp8_mode, device)
    shape = ministral.shape(folder)
    requested = replace(requested, kernels=kernel_check.arrange(arguments.kernels, device, shape))
    if requested.requested != "auto" or device.capability is None:
        return requested
    choose = partial(_choice, arguments, folder, requested, kept)
    choice = processes.here().from_leader(choose)
    metric_lines.report_info(f"Fp8Mode auto is {choice.mode}: {choice.reason}")
    return replace(requested, effective=choice.mode, choice=choice)


def _choice(arguments: Arguments, folder: Path, predicted: Precision, kept: Kept) -> Choice:
    """Return the earlier choice, or measure and keep one."""
    earlier = kept.recall(predicted.effective)
    if earlier is not None:
        return earlier
    tried = measure(arguments, folder, predicted)
    if not any(each.tokens_per_second for each in tried) and _none_fits(tried):
        # The plan of the predicted mode states what would fit, a moment later.
        return Choice(
            mode=predicted.effective, predicted=predicted.effective, reason=_NONE_FITS, tried=tried
        )
    by_speed = arguments.determinism != "full"
    choice = decision.choose(tried, predicted.effective, by_speed=by_speed)
    kept.keep(choice)
    return choice


_TOO_BIG, _NONE_FITS = "it does not fit this device", "no mode fits this device"
_SPLIT = "the base would have to be split among GPUs"


def _none_fits(tried: list[Tried]) -> bool:
    return all(each.fault == _TOO_BIG for each in tried)


def measure(arguments: Arguments, folder: Path, predicted: Precision) -> list[Tried]:
    """Time the modes that this device has, and state of the others why not."""
    device = predicted.device
    modes = ("storage", "native_dx", "off") if device.has_fp8 else ("storage", "off")
    plans = {mode: _plan(arguments, folder, replace(predicted, effective=mode)) for mode in modes}
    fewest = min((plan.shards for plan in plans.values() if plan), default=1)
    found: dict[str, Tried | Candidate] = {}
    for mode, plan in plans.items():
        if plan is None or plan.shards > fewest:
            found[mode] = Tried(mode=mode, fault=_TOO_BIG if plan is None else _SPLIT)
        else:
            found[mode] = _candidate(arguments, folder, replace(predicted, effective=mode), plan)
    candidates = [each for each in found.values() if isinstance(each, Candidate)]
    timed = iter(trial.timed(candidates, Watch(device.torch_device)))
    tried = [next(timed) if isinstance(each, Candidate) else each for each in found.values()]
    candidates.clear()
    found.clear()
    gc.collect()
    if device.torch_device.type == "cuda":  # the report's peak is that of the training
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device.torch_device)
    return tried


def _plan(arguments: Arguments, folder: Path, mode: Precision) -> Plan | None:
    """Return the mode's memory plan, None if it does not fit the device."""
    plan = mode.plan(
        ministral.shape(folder), rank=arguments.lora_rank, optimizer=arguments.optimizer
    )
    count = processes.here().count
    try:
        plan = loading.plan_sharding(arguments, plan, mode.device, count)
        batching.decide(mode.device, arguments.sequence_length, plan=plan, ranks=count)
    except UsageError:
        return None
    return plan


def _candidate(arguments: Arguments, folder: Path, mode: Precision, plan: Plan) -> Candidate:
    count, length = processes.here().count, arguments.sequence_length
    batches = batching.decide(mode.device, length, plan=plan, ranks=count)
    return Candidate(
        mode.effective,
        partial(RandomLayer, folder, mode, arguments.lora_rank),
        batches,
        tokens=min(trial.MOST_TOKENS, batches.micro_rows * length),
    )
