"""An optimizer step has the same rows on every device; only its passes differ."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from steps.governance.errors import UsageError
from steps.train.arguments import SEQUENCE_LENGTHS
from steps.train.planning import batching, devices, memory, memory_table
from steps.train.planning.batching import ROWS_PER_STEP, Batching, decide
from steps.train.planning.devices import Device
from steps.train.planning.shapes import MINISTRAL_3B

pytestmark = pytest.mark.torch

CPU = Device(torch.device("cpu"), "cpu", None)
STORAGE = memory.Plan(MINISTRAL_3B, "storage", 16)


def on(name: str, monkeypatch: pytest.MonkeyPatch) -> Device:
    """Return a device of this name whose memory is that of its data sheet."""
    known = devices.sheet(name)
    assert known is not None
    properties = SimpleNamespace(total_memory=known.memory_bytes)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return Device(torch.device("cuda"), name, (8, 6))


@pytest.mark.parametrize("sequence_length", SEQUENCE_LENGTHS)
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_rows_times_passes_times_ranks_are_the_rows_of_one_step(
    sequence_length: int, ranks: int
) -> None:
    decided = decide(CPU, sequence_length, plan=STORAGE, ranks=ranks)
    rows = decided.micro_rows * decided.accumulation * ranks
    assert rows == batching.rows_per_step(ranks) >= ROWS_PER_STEP
    assert rows - ranks < max(ROWS_PER_STEP, ranks)  # rounded up no further than needed
    assert decided.recomputed_layers == 0


def test_on_cpu_a_pass_has_about_2048_tokens() -> None:
    rows = [decide(CPU, length, plan=STORAGE).micro_rows for length in (512, 1024, 8192)]
    assert rows == [4, 2, 1]


@pytest.mark.parametrize("name", ["NVIDIA A10G", "NVIDIA L40S", "NVIDIA H100 80GB HBM3"])
@pytest.mark.parametrize("sequence_length", SEQUENCE_LENGTHS)
def test_the_chosen_batching_fits_the_device(
    name: str, sequence_length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = on(name, monkeypatch)
    decided = decide(device, sequence_length, plan=STORAGE)
    assert decided.micro_rows * decided.accumulation == ROWS_PER_STEP
    tokens = decided.micro_rows * sequence_length
    budget = batching.budget_bytes(devices.sheet(name).memory_bytes)
    assert memory.peak(STORAGE, tokens, recomputed=decided.recomputed_layers).total <= budget


def test_no_more_layers_recompute_than_necessary(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = decide(on("NVIDIA A10G", monkeypatch), 8192, plan=STORAGE)
    assert 0 < decided.recomputed_layers < MINISTRAL_3B.layers
    budget = batching.budget_bytes(devices.sheet("NVIDIA A10G").memory_bytes)
    assert memory.peak(STORAGE, 8192, recomputed=decided.recomputed_layers - 1).total > budget
    large = decide(on("NVIDIA H100 80GB HBM3", monkeypatch), 8192, plan=STORAGE)
    assert large.recomputed_layers == 0


def test_fewer_rows_at_once_are_preferred_to_recomputing(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = decide(on("NVIDIA A10G", monkeypatch), 2048, plan=STORAGE)
    # 4 rows would fit if half of the layers recomputed.
    assert (decided.micro_rows, decided.recomputed_layers) == (2, 0)


def test_8192_packed_tokens_of_ministral_3b_fit_24_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth, the error of the memory model, and the bytes that it does not count stay free."""
    decided = decide(on("NVIDIA A10G", monkeypatch), 8192, plan=STORAGE)
    needed = memory.peak(STORAGE, 8192, recomputed=decided.recomputed_layers).total
    assert needed * 1.1 + batching.UNCOUNTED_BYTES < 24e9


def test_a_model_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    large = replace(STORAGE, shape=replace(MINISTRAL_3B, layers=200))
    with pytest.raises(
        UsageError, match=r"does not fit the device\n.* GiB for one row of 8192 tokens\n.*18\.8 GiB"
    ):
        decide(on("NVIDIA A10G", monkeypatch), 8192, plan=large)


def test_smaller_takes_fewer_rows_then_more_recomputed_layers_then_ends() -> None:
    steps = [Batching(4, 1, 0, 6)]
    while (smaller := steps[-1].smaller()) is not None:
        steps.append(smaller)
    shown = [(step.micro_rows, step.accumulation, step.recomputed_layers) for step in steps]
    assert shown == [(4, 1, 0), (2, 2, 0), *((1, 4, layers) for layers in range(7))]


def test_three_rows_become_three_passes_of_one() -> None:
    assert Batching(3, 1, 0, 2).smaller() == Batching(1, 3, 0, 2)


def test_the_table_shows_the_chosen_batching_of_devices_that_fit() -> None:
    lines = {line.device: line for line in memory_table.table(STORAGE, 8192)}
    assert lines.keys() == devices.SHEETS.keys()
    a10g = lines["A10G"]
    assert (a10g.rows_at_once, a10g.recomputed_layers) == (1, 5)
    assert a10g.base + a10g.adapters + a10g.kept + a10g.momentary == pytest.approx(a10g.needed)
    assert a10g.needed == pytest.approx(18.56, abs=0.01)
    large = replace(STORAGE, shape=replace(MINISTRAL_3B, layers=200))
    fitting = {line.device for line in memory_table.table(large, 8192)}
    assert fitting == devices.SHEETS.keys() - {"A10G", "L4", "A100-SXM4-40GB"}
