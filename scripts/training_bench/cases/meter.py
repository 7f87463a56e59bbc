"""Count what a trainer uses: real tokens, CPU seconds, wall seconds, peak memory.

    meter = Meter(device, warm_up=1)
    meter.watch(model)      # counts from the start of the second training pass …
    train(model)            # … which calls meter.step_ended() after every optimizer step
    meter.read()            # … to the end of the last optimizer step

The meter looks at the model's inputs only, so the same code counts for every trainer.
"""

import resource
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Meter:
    """Counts all training passes after the first `warm_up` ones."""

    def __init__(self, device: str, warm_up: int) -> None:
        self._on_gpu, self._warm_up = device == "cuda", warm_up
        self._passes = self._tokens = self._slots = 0
        self._began: tuple[float, float] | None = None
        self._ended: tuple[float, float] | None = None
        self._resident = {"imported": resident_bytes()}

    def loaded(self) -> None:
        """Record the resident memory: the model is loaded, and training starts."""
        self._resident["loaded"] = resident_bytes()

    def watch(self, model: nn.Module) -> None:
        """Count the inputs of `model` in training."""
        model.register_forward_pre_hook(self._before, with_kwargs=True)

    def step_ended(self) -> None:
        """Record the end of an optimizer step.

        What follows the last one (saving, evaluating) is not training and does not count.
        """
        self._ended = self._now()

    def read(self) -> dict[str, Any]:
        """Return the numbers of the counted passes.

        Raises:
            RuntimeError: there were no passes after the warm-up.
        """
        if self._began is None or self._ended is None:
            raise RuntimeError(
                f"expected more than {self._warm_up} training passes, got {self._passes}"
            )
        return {
            "passes": self._passes - self._warm_up,
            "tokens": self._tokens,
            "real_share": self._tokens / self._slots,
            "cpu_seconds": self._ended[0] - self._began[0],
            "wall_seconds": self._ended[1] - self._began[1],
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "resident_bytes": self._resident,
            "peak_gpu_bytes": torch.cuda.max_memory_allocated() if self._on_gpu else None,
        }

    def _before(self, module: nn.Module, _: Any, inputs: dict[str, Any]) -> None:
        if not module.training:
            return
        if self._passes == self._warm_up:
            self._began = self._now()
        self._passes += 1
        if self._began is not None:
            ids, mask = inputs["input_ids"], inputs.get("attention_mask")
            self._slots += ids.numel()
            self._tokens += ids.numel() if mask is None else int(mask.sum())

    def _now(self) -> tuple[float, float]:
        """Return CPU and wall seconds, after the GPU has finished its work."""
        if self._on_gpu:
            torch.cuda.synchronize()
        return time.process_time(), time.perf_counter()
