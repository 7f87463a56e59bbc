"""What a trainer uses while it trains, whoever's it is: real tokens, CPU seconds, wall seconds, peak memory.

    meter = Meter(device, warm_up=1)
    meter.watch(model)      # counts from the start of the second training pass …
    train(model)
    meter.read()            # … to the end of the last optimizer step that `step_ended` was told of

It looks at the model's inputs only, so that the same few lines count for every trainer.
"""

import resource
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn


def resident_bytes() -> int:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Meter:
    """Counts from the pass after `warm_up` passes on."""

    def __init__(self, device: str, warm_up: int) -> None:
        self._on_gpu, self._warm_up = device == "cuda", warm_up
        self._passes = self._tokens = self._slots = 0
        self._began: tuple[float, float] | None = None
        self._ended: tuple[float, float] | None = None
        self._resident = {"imported": resident_bytes()}

    def loaded(self) -> None:
        """The model is in memory; training starts."""
        self._resident["loaded"] = resident_bytes()

    def watch(self, model: nn.Module) -> None:
        """Look at what goes into `model` in training."""
        model.register_forward_pre_hook(self._before, with_kwargs=True)

    def step_ended(self) -> None:
        """An optimizer step is done; what follows the last one (saving, evaluating) is not training."""
        self._ended = self._now()

    def read(self) -> dict[str, Any]:
        """The counted part's numbers.

        Raises:
            RuntimeError: there were no more passes than warm-up.
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
        if self._on_gpu:
            torch.cuda.synchronize()  # else the clock would stand before the work
        return time.process_time(), time.perf_counter()
