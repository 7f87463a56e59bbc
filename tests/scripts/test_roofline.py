"""The roofline: what a pass of the model that trains moves, launches and computes on a GPU."""

import pytest
import torch

from pipeline.cost import speed as cost_speed
from scripts.roofline import __main__ as roofline
from scripts.roofline import cards, tracing
from scripts.roofline.counting import Operation
from steps.train.model import precision
from steps.train.planning import batching, devices, flops
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan
from steps.train.planning.shapes import MINISTRAL_3B

pytestmark = pytest.mark.torch
# Mode → most MB a token outside of products and attention, and most kernels of a pass
BOUNDS = {"storage": (13, 3_600), "native_dx": (20, 4_250), "off": (11, 3_250)}


@pytest.mark.parametrize("mode", BOUNDS)
def test_a_pass_stays_within_its_bounds(mode: str) -> None:
    passed = roofline.operations(mode, False)
    megabytes, kernels = BOUNDS[mode]
    assert roofline.outside(passed) <= megabytes
    assert len(passed) <= kernels


@pytest.mark.parametrize("mode", BOUNDS)
def test_the_products_are_those_that_mfu_counts(mode: str) -> None:
    passed = roofline.operations(mode, False)
    documents = roofline.TOKENS // tracing.DOCUMENT
    pairs = documents * tracing.DOCUMENT * (tracing.DOCUMENT + 1) // 2
    tokens = flops.Tokens(roofline.TOKENS, pairs, round(roofline.TOKENS * tracing.LABELLED))
    needed = flops.of_step(MINISTRAL_3B, tracing.RANK, tokens).total
    counted = sum(each.flops for each in passed)
    # flash attention's backward repeats a product of its forward, which MFU does not count
    assert counted == pytest.approx(needed, rel=0.02)
    in_fp8 = sum(each.flops for each in passed if each.fp8) / counted
    assert in_fp8 > 0.9 if mode == "native_dx" else in_fp8 == 0


def test_recomputed_layers_cost_their_forward_again() -> None:
    kept, recomputed = (roofline.operations("storage", each) for each in (False, True))
    more = sum(each.flops for each in recomputed) / sum(each.flops for each in kept)
    assert 1.4 < more < 1.5


def test_a_kernel_takes_the_longer_of_its_arithmetic_and_its_traffic() -> None:
    copy, product = Operation("copy_", 10**9, 0), Operation("mm", 10**6, 10**13)
    assert cards.seconds([copy], "L4") == pytest.approx(1 / (300 * 0.85), rel=0.01)
    assert cards.seconds([product], "L4") == pytest.approx(10 / (121 * 0.65), rel=0.01)
    with pytest.raises(ValueError, match="A10G multiplies no FP8 numbers"):
        cards.seconds([Operation("_scaled_mm", 1, 1, fp8=True)], "A10G")


def test_native_is_faster_than_bfloat16_and_storage_is_not_slower() -> None:
    """The goals of issue 13, as predicted: 1.15, and 0.97 (L40S: 0.964, see the next test)."""
    for card in ("L4", "L40S", "H100 80GB HBM3"):
        native, storage, off = (
            roofline.speed(mode, card) for mode in ("native_dx", "storage", "off")
        )
        assert native >= 1.15 * off
        assert storage >= 0.96 * off


def test_storage_meets_its_goal_on_an_l40s_as_train_batches() -> None:
    """It decodes once a pass, and has room for two rows in a pass where bfloat16 has one."""
    speeds, budget = {}, batching.budget_bytes(devices.SHEETS["L40S"].memory_bytes)
    for mode in ("storage", "off"):
        plan = Plan(MINISTRAL_3B, mode, tracing.RANK)
        fitted = batching.fit(plan, roofline.TOKENS, divisors=[4, 2, 1], budget=budget)
        assert fitted.recomputed_layers == 0
        tokens = fitted.micro_rows * roofline.TOKENS
        speeds[mode] = tokens / cards.seconds(tracing.traced(mode, tokens=tokens), "L40S")
    assert speeds["storage"] >= 0.97 * speeds["off"]


# Storage takes half the memory of `off`, so up to 4 % less speed, within the roofline's error, is
# accepted. Native has no such advantage: it must be the fastest.
@pytest.mark.parametrize("card", devices.SHEETS)
def test_auto_chooses_no_mode_that_the_roofline_calls_slower(card: str) -> None:
    has_fp8 = devices.SHEETS[card].fp8 is not None
    device = Device(torch.device("cpu"), f"NVIDIA {card}", (9, 0) if has_fp8 else (8, 0))
    chosen = precision.decide("auto", device).effective
    speeds = {
        mode: roofline.speed(mode, card)
        for mode in roofline.MODES
        if has_fp8 or not mode.startswith("native")
    }
    assert speeds[chosen] >= 0.96 * max(speeds.values())
    assert chosen == "storage" or speeds["native_dx"] > max(speeds["storage"], speeds["off"])


def test_the_estimate_of_costs_has_these_speeds() -> None:
    for instance in ("ml.g5.xlarge", "ml.p4d.24xlarge", "ml.g7e.2xlarge"):
        expected = roofline.speed("storage", roofline.card_of(instance))
        assert cost_speed.of(instance).tokens == pytest.approx(expected, rel=0.01)
    large = ("ml.p5.4xlarge", "ml.p5en.48xlarge", "ml.p6-b200.48xlarge", "ml.p6-b300.48xlarge")
    for instance in ("ml.g6.xlarge", "ml.g6e.xlarge", *large):
        expected = roofline.speed("native_dx", roofline.card_of(instance))
        assert cost_speed.of(instance).tokens == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("instance", "card"),
    [("ml.g5.xlarge", "A10G"), ("ml.p4de.24xlarge", "A100-SXM4-40GB"), ("ml.g6.xlarge", "L4")],
)
def test_each_instance_type_has_a_card(instance: str, card: str) -> None:
    assert roofline.card_of(instance) == card
    for every in roofline.instances.TYPES:
        assert roofline.card_of(every)
