"""Timing the modes: rounds, medians, the bound on time, and modes that fail."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from steps.train.model.choosing.layer import RandomLayer
from steps.train.model.choosing.trial import Candidate, Watch, timed
from steps.train.model.precision import Precision
from steps.train.planning.batching import Batching
from tests.steps.train.support.cards import h100

pytestmark = pytest.mark.torch

LAYERS, RECOMPUTED = 4, 1
CPU = torch.device("cpu")


class Costs:
    """A layer whose passes move the clock instead of computing."""

    def __init__(self, clock: "Clock", step: Callable[[], float], forward: float = 1.0) -> None:
        self._clock, self._step, self._forward = clock, step, forward

    def forward(self, tokens: int) -> None:
        self._clock.now += self._forward

    def step(self, tokens: int) -> None:
        self._clock.now += self._step()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def candidate(mode: str, layer: Any) -> Candidate:
    return Candidate(mode, lambda: layer, Batching(1, 4, RECOMPUTED, LAYERS), tokens=100)


def test_a_figure_is_the_median_of_the_rounds_with_the_layers_that_recompute() -> None:
    clock = Clock()
    # warm-up (three passes), then rounds of which one is disturbed
    seconds: Iterator[float] = iter([50.0] * 3 + [3.0] * 3 + [90.0] * 3 + [3.0] * 300)
    found = timed(
        [candidate("storage", Costs(clock, lambda: next(seconds), forward=1.0))],
        Watch(CPU, clock),
        limit=1e9,
    )
    expected = 100 / (LAYERS * 3.0 + RECOMPUTED * 1.0)
    assert [each.tokens_per_second for each in found] == [pytest.approx(expected, abs=0.1)]
    assert found[0].recomputed_layers == RECOMPUTED


def test_the_time_of_all_modes_is_bounded_after_three_rounds() -> None:
    clock, runs = Clock(), []

    def slow() -> float:
        runs.append(1)
        return 10.0

    layers = [candidate(mode, Costs(clock, slow)) for mode in ("storage", "off")]
    found = timed(layers, Watch(CPU, clock), limit=5.0)
    rounds = 4  # the warm-up and three
    assert len(runs) == rounds * 3 * 2
    assert all(each.tokens_per_second for each in found)


def test_a_mode_that_raises_is_left_out_with_its_reason_and_the_others_are_timed() -> None:
    clock, made = Clock(), []

    class Broken(Costs):
        def step(self, tokens: int) -> None:
            made.append(1)
            raise RuntimeError("CUDA error: no kernel image is available\nCompile with …")

    found = timed(
        [
            candidate("native_dx", Broken(clock, lambda: 1.0)),
            candidate("storage", Costs(clock, lambda: 1.0)),
        ],
        Watch(CPU, clock),
        limit=1.0,
    )
    assert found[0].tokens_per_second is None
    assert found[0].fault == "RuntimeError: CUDA error: no kernel image is available"
    assert found[1].tokens_per_second
    assert len(made) == 1, "it is not tried again"


def test_real_layers_are_timed_in_every_mode_without_touching_a_generator(
    tiny_model: Path,
) -> None:
    how = {m: Precision("auto", m, torch.bfloat16, h100()) for m in ("storage", "native_dx", "off")}
    before = torch.get_rng_state()
    found = timed(
        [
            Candidate(
                mode,
                lambda mode=mode: RandomLayer(tiny_model, how[mode], 4),  # type: ignore[misc]
                Batching(1, 4, 0, 2),
                tokens=32,
            )
            for mode in how
        ],
        Watch(CPU),
        limit=0.0,
    )
    assert [each.mode for each in found] == list(how)
    assert [each.fault for each in found] == [None] * 3
    assert all(each.tokens_per_second for each in found)
    assert torch.equal(before, torch.get_rng_state()), "adapters would begin otherwise"


@pytest.mark.parametrize("mode", ["storage", "native_dx", "off"])
def test_the_timed_layer_runs_the_linears_of_its_mode_and_trains_its_adapters(
    tiny_model: Path, mode: str
) -> None:
    from steps.train.model.fp8_linear import Fp8Linear

    how = Precision("auto", mode, torch.bfloat16, h100())
    timed_layer = RandomLayer(tiny_model, how, 4)
    timed_layer.step(32)
    layer = timed_layer._layer
    bases = [m for m in layer.modules() if isinstance(m, Fp8Linear)]
    assert (len(bases), all(base.native_gradient for base in bases)) == {
        "storage": (7, False),
        "native_dx": (7, True),
        "off": (0, True),
    }[mode]
    adapters = [p for p in layer.parameters() if p.requires_grad]
    assert len(adapters) == 14
    assert all(p.grad is not None for p in adapters)
