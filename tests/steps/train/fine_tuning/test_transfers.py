"""An optimizer step reads the device once, however many passes it has: all else stays queued."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from steps.train.planning import batching
from steps.train.tracking import metric_lines
from tests.steps.train.support.jobs import job, run

pytestmark = pytest.mark.torch

# Operations whose result the host needs before it can continue
_WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique_dim", "_unique2")
# Tensor's methods that copy to the host; on the CPU they dispatch nothing
_COPIES = ("tolist", "numpy", "cpu")
# Code that works on the host also where the model is on a GPU, and what only a CPU runs
_HOST = ("data/packing.py", "fine_tuning/row_order.py", "model/packed_attention.py")

# Trainer logs the loss that was read as a number: `torch.tensor(number)`, which is on the host
_OF_A_NUMBER = "_local_scalar_dense at trainer.py: tr_loss_scalar = nested_gather"


class Reads(TorchDispatchMode):
    """The reads of a training, with the line of code that makes each, and where steps end."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[-1]
        masked = name.startswith("index") and _has_mask(args[1:])
        if name in _WAITS or masked:
            self.read(name)
        return func(*args, **(kwargs or {}))

    def read(self, name: str) -> None:
        frames = [f for f in traceback.extract_stack()[:-2] if "/torch/" not in f.filename]
        code = [f for f in frames if "tests/" not in f.filename][-1]
        if not code.filename.endswith(_HOST):
            self.found.append(f"{name} at {Path(code.filename).name}: {code.line}")


def _has_mask(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.dtype is torch.bool
    return isinstance(value, list | tuple) and any(map(_has_mask, value))


@contextmanager
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """Yield the reads of each optimizer step of a training in this block."""
    steps: list[list[str]] = []
    with Reads() as mode:
        for name in _COPIES:
            method = getattr(torch.Tensor, name)

            def copied(tensor: Any, *rest: Any, name: str = name, method: Any = method) -> Any:
                mode.read(name)
                return method(tensor, *rest)

            monkeypatch.setattr(torch.Tensor, name, copied)
        report = metric_lines.report_step

        def ended(step: int, **metrics: float) -> None:
            steps.append(list(mode.found))
            mode.found.clear()
            report(step, **metrics)

        monkeypatch.setattr(metric_lines, "report_step", ended)
        yield steps


def test_a_step_of_two_passes_reads_the_device_once(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_CPU_TOKENS", 512)
    small = job(tmp_path / "ml", tiny_model, curated, max_steps="3")
    with reads(monkeypatch) as steps:
        run(small)
    assert len(steps) == 3
    # The first also has the base's evaluation, and the second what the first step sets up.
    for found in steps[2:]:
        of_device = [each for each in found if not each.startswith(_OF_A_NUMBER)]
        assert len(of_device) == 1, "\n".join(found)
        assert of_device[0].startswith("tolist at trainer.py: self._read_loss")
        assert len(found) == 2, "\n".join(found)
