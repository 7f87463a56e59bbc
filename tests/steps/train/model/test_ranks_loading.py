"""When the base is split among GPUs, and what cannot be combined with a split base."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steps.governance.errors import UsageError
from steps.train.model import loading
from steps.train.planning import batching, memory
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan
from steps.train.planning.shapes import MINISTRAL_3B

pytestmark = pytest.mark.torch

A10G = Device(torch.device("cuda"), "NVIDIA A10G", (8, 6))
PLAN = Plan(MINISTRAL_3B, "storage", rank=16)


@pytest.fixture
def gpu_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make torch report a GPU with so many GiB."""

    def of(gib: float) -> None:
        properties = SimpleNamespace(total_memory=round(gib * 2**30))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)

    return of


def arguments(sharding: str, optimizer: str = "adamw") -> Any:
    return SimpleNamespace(sharding=sharding, sequence_length=8192, optimizer=optimizer)


def test_auto_splits_the_base_only_if_it_does_not_fit_one_gpu(gpu_of: Any) -> None:
    gpu_of(22)
    assert loading.plan_sharding(arguments("auto"), PLAN, A10G, 8).shards == 1
    gpu_of(7)
    assert loading.plan_sharding(arguments("auto"), PLAN, A10G, 8).shards == 8
    assert loading.plan_sharding(arguments("ddp"), PLAN, A10G, 8).shards == 1
    assert loading.plan_sharding(arguments("auto"), PLAN, A10G, 1).shards == 1, "one process"


def test_a_split_base_fits_where_the_whole_base_does_not(gpu_of: Any) -> None:
    gpu_of(7)
    with pytest.raises(UsageError, match="does not fit the device"):
        batching.decide(A10G, 8192, plan=PLAN, ranks=8)
    split = loading.plan_sharding(arguments("auto"), PLAN, A10G, 8)
    assert batching.decide(A10G, 8192, plan=split, ranks=8).micro_rows == 1


def test_a_split_plan_counts_its_shard_and_the_two_gathered_layers() -> None:
    split = Plan(MINISTRAL_3B, "storage", rank=16, shards=8)
    layer, layers = MINISTRAL_3B.layer_weights, MINISTRAL_3B.layers
    not_split = memory.base_bytes(PLAN) - layers * layer
    assert memory.base_bytes(split) == not_split + round(layers * layer / 8 + 2 * layer)
    assert memory.adapter_bytes(split) < memory.adapter_bytes(PLAN) / 4


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (Plan(MINISTRAL_3B, "nf4", rank=16), "nf4"),
        (Plan(MINISTRAL_3B, "storage", rank=16, optimizer="paged_adamw_8bit"), "paged_adamw_8bit"),
    ],
)
def test_tensors_of_bitsandbytes_cannot_be_split(plan: Plan, named: str) -> None:
    with pytest.raises(
        UsageError, match=f"{named} cannot be used with a base that is split among GPUs"
    ) as refused:
        loading.plan_sharding(arguments("fsdp"), plan, A10G, 2)
    assert "train.sharding ddp" in str(refused.value)
