"""Whether the base is split among GPUs: as asked, or where one GPU has no room for it; and what does not go with that."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steps.governance.errors import UsageError
from steps.train.data.document import Document
from steps.train.fine_tuning.row_order import Order, Padded
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
    """A GPU with so many GiB, as torch would describe it."""

    def of(gib: float) -> None:
        properties = SimpleNamespace(total_memory=round(gib * 2**30))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)

    return of


def arguments(sharding: str, optimizer: str = "adamw") -> Any:
    return SimpleNamespace(sharding=sharding, sequence_length=8192, optimizer=optimizer)


def test_auto_splits_the_base_only_where_one_gpu_has_no_room_for_it(gpu_of: Any) -> None:
    gpu_of(22)
    assert loading.shared_out(arguments("auto"), PLAN, A10G, 8).shards == 1
    gpu_of(7)
    assert loading.shared_out(arguments("auto"), PLAN, A10G, 8).shards == 8
    assert loading.shared_out(arguments("ddp"), PLAN, A10G, 8).shards == 1
    assert loading.shared_out(arguments("auto"), PLAN, A10G, 1).shards == 1, "nobody to share with"


def test_what_is_split_has_room_where_the_whole_had_none(gpu_of: Any) -> None:
    gpu_of(7)
    with pytest.raises(UsageError, match="does not fit the device"):
        batching.decide(A10G, 8192, plan=PLAN, ranks=8)
    split = loading.shared_out(arguments("auto"), PLAN, A10G, 8)
    assert batching.decide(A10G, 8192, plan=split, ranks=8).micro_rows == 1


def test_a_split_plan_counts_its_share_and_the_two_layers_that_are_gathered() -> None:
    split = Plan(MINISTRAL_3B, "storage", rank=16, shards=8)
    layer, layers = MINISTRAL_3B.layer_weights, MINISTRAL_3B.layers
    kept = memory.base_bytes(PLAN) - layers * layer
    assert memory.base_bytes(split) == kept + round(layers * layer / 8 + 2 * layer)
    assert memory.adapter_bytes(split) < memory.adapter_bytes(PLAN) / 4


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (Plan(MINISTRAL_3B, "nf4", rank=16), "nf4"),
        (Plan(MINISTRAL_3B, "storage", rank=16, optimizer="paged_adamw_8bit"), "paged_adamw_8bit"),
    ],
)
def test_what_bitsandbytes_holds_cannot_be_split(plan: Plan, named: str) -> None:
    with pytest.raises(
        UsageError, match=f"{named} cannot be used with a base that is split among GPUs"
    ) as refused:
        loading.shared_out(arguments("fsdp"), plan, A10G, 2)
    assert "train.sharding ddp" in str(refused.value)


def test_each_epoch_has_an_order_of_its_own_that_no_number_of_processes_changes() -> None:
    alone, shared = Order(13, seed=17, multiple=1), Order(13, seed=17, multiple=4)
    orders = []
    for epoch in (0, 1):
        alone.set_epoch(epoch)
        shared.set_epoch(epoch)
        orders.append(list(alone))
        assert list(shared) == [*orders[-1], 13, 14, 15]
    assert len(alone) == 13
    assert len(shared) == 16
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(13))


def test_a_row_beyond_the_last_weighs_nothing() -> None:
    rows = Padded([[Document((1, 5, 6, 7), 2)]])
    assert [sum(document.target_tokens for document in rows[number]) for number in (0, 1, 2)] == [
        2,
        0,
        0,
    ]
