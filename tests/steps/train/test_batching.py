"""An optimizer step is the same on every device; only how it is cut differs."""

import pytest
import torch

from steps.train.arguments import SEQUENCE_LENGTHS
from steps.train.batching import ROWS_PER_STEP, decide
from steps.train.precision import Device

pytestmark = pytest.mark.torch

CPU = Device(torch.device("cpu"), "cpu", None)


@pytest.mark.parametrize("sequence_length", SEQUENCE_LENGTHS)
def test_rows_times_passes_is_one_optimizer_step(sequence_length: int) -> None:
    batching = decide(CPU, sequence_length)
    assert batching.micro_rows * batching.accumulation == ROWS_PER_STEP
    assert not batching.checkpointing


def test_long_rows_go_one_at_a_time() -> None:
    assert (decide(CPU, 512).micro_rows, decide(CPU, 8192).micro_rows) == (4, 1)
