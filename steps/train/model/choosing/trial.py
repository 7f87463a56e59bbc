"""Time one decoder layer in several modes of precision, on the device that will train.

    tried = timed([Candidate("storage", layer, plan), …], clock=time.perf_counter, limit=4.0)

Each round times every mode once, so that a clock that slows down slows all of them. A mode's figure
is the median of its rounds: one pass that another process disturbed does not decide. All of it ends
after `limit` seconds, but not before three rounds. A mode that fails is left out with its reason.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from steps.governance.documents.precision import Tried
from steps.train.planning.batching import Batching

LIMIT_SECONDS = 4.0  # of all modes together, warm-up included
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 15
_PASSES = 3  # of a round, one after another: the GPU never waits for the next launch
MOST_TOKENS = 8192  # of a timed row; longer rows take the same time a token
_FAULT_CHARACTERS = 200


class Layer(Protocol):
    """What is timed: one decoder layer in one mode."""

    def forward(self, tokens: int) -> object:
        """Run forward over a row."""

    def step(self, tokens: int) -> None:
        """Run forward and backward over a row."""


@dataclass
class Candidate:
    """A mode, how to make its layer, and how a job would divide its passes.

    Attributes:
        mode: `Precision.effective`.
        make: returns the layer.
        batching: rows and recomputed layers of a pass.
        tokens: of a timed row.
    """

    mode: str
    make: Callable[[], Layer]
    batching: Batching
    tokens: int
    fault: str | None = None
    _forward: list[float] = field(default_factory=list)
    _step: list[float] = field(default_factory=list)
    _layer: Layer | None = None

    def attempt(self, watch: "Watch", *, timing: bool) -> None:
        """Run a round, and keep its times if `timing`. An error takes this mode out."""
        try:
            layer = self._layer = self._layer or self.make()
            forward = watch.seconds(lambda: layer.forward(self.tokens), 1)
            step = watch.seconds(lambda: layer.step(self.tokens), _PASSES)
        # Whatever a product or a kernel raises: this mode is out, and the record has the reason.
        except Exception as error:  # noqa: BLE001 - see above
            self.fault, self._layer = fault_of(error), None
            return
        if timing:
            self._forward.append(forward)
            self._step.append(step)

    def tried(self) -> Tried:
        """Return the figures: of all decoder layers, with those that recompute."""
        recomputed, tokens = self.batching.recomputed_layers, self.tokens
        if self.fault or not self._step:
            return Tried(mode=self.mode, fault=self.fault or "not timed")
        layers = self.batching.decoder_layers
        seconds = layers * statistics.median(self._step)
        seconds += recomputed * statistics.median(self._forward)
        return Tried(
            mode=self.mode,
            tokens_per_second=round(tokens / seconds, 1),
            pass_tokens=tokens,
            recomputed_layers=recomputed,
        )


@dataclass(frozen=True)
class Watch:
    """A clock that waits until a GPU has done its work."""

    device: torch.device
    clock: Callable[[], float] = time.perf_counter

    def seconds(self, work: Callable[[], object], times: int) -> float:
        """Return how long one of `times` runs of `work` took."""
        self._finish()
        began = self.clock()
        for _ in range(times):
            work()
        self._finish()
        return (self.clock() - began) / times

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def timed(
    candidates: Sequence[Candidate], watch: Watch, *, limit: float = LIMIT_SECONDS
) -> list[Tried]:
    """Return each mode's figures. The first round warms up and does not count."""
    began = watch.clock()
    for number in range(_MOST_ROUNDS + 1):
        if number > _LEAST_ROUNDS and watch.clock() - began > limit:
            break
        for candidate in candidates:
            if candidate.fault is None:
                candidate.attempt(watch, timing=number > 0)
    return [candidate.tried() for candidate in candidates]


def fault_of(error: BaseException) -> str:
    """Return an error as one line for log and record."""
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{type(error).__name__}: {first}"[:_FAULT_CHARACTERS]
