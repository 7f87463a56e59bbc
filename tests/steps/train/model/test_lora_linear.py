"""Our LoRA layer computes what PEFT's layer computes."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from peft.tuners import lora as peft_lora
from torch import Tensor, nn

from steps.train.model import lora, ministral, precision
from steps.train.model.fp8_linear import E4M3, Fp8Linear
from steps.train.model.lora_linear import AdaptedLinear, create_lora_layer
from steps.train.planning.devices import Device

pytestmark = pytest.mark.torch

CONFIG = LoraConfig(r=4, lora_alpha=8)
CPU = Device(torch.device("cpu"), "cpu", None)


def base(kind: str) -> nn.Linear:
    weight = torch.randn(48, 64, generator=torch.Generator().manual_seed(0)) * 0.05
    if kind == "fp8":
        return Fp8Linear((weight * 1000).to(E4M3), torch.tensor(1e-3))
    linear = nn.Linear(64, 48, bias=False).requires_grad_(False)
    linear.weight.copy_(weight)
    return linear


def adapted(kind: str, layer_class: type) -> peft_lora.Linear:
    layer: peft_lora.Linear = layer_class(base(kind), "default", config=CONFIG, r=4, lora_alpha=8)
    for seed, part in enumerate((layer.lora_A, layer.lora_B)):
        nn.init.normal_(
            part["default"].weight, std=0.1, generator=torch.Generator().manual_seed(seed)
        )
    return layer


def output_and_gradients(layer: nn.Module, autocast: bool) -> list[Tensor]:
    """Return the output, and the gradients of input, A and B."""
    x = torch.randn(2, 9, 64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
        y = layer(x)
    y.float().square().sum().backward()
    return [y, x.grad, *(p.grad for p in layer.parameters() if p.requires_grad)]


@pytest.mark.parametrize("kind", ["fp8", "plain"])
@pytest.mark.parametrize(("autocast", "tolerance"), [(False, 1e-5), (True, 2e-2)])
def test_output_and_every_gradient_equal_those_of_peft(
    kind: str, autocast: bool, tolerance: float
) -> None:
    ours, theirs = (
        output_and_gradients(adapted(kind, layer_class), autocast)
        for layer_class in (AdaptedLinear, peft_lora.Linear)
    )
    assert len(ours) == 4
    for mine, expected in zip(ours, theirs, strict=True):
        assert (mine.dtype, mine.shape) == (expected.dtype, expected.shape)
        assert (mine.float() - expected.float()).norm() <= tolerance * expected.float().norm()


def test_bfloat16_output_is_at_least_as_exact_as_that_of_peft() -> None:
    exact = adapted("plain", peft_lora.Linear)(torch.ones(1, 5, 64))
    errors = []
    for layer_class in (AdaptedLinear, peft_lora.Linear):
        with torch.autocast("cpu", torch.bfloat16):
            errors.append(
                (adapted("plain", layer_class)(torch.ones(1, 5, 64)).float() - exact).norm().item()
            )
    assert errors[0] <= errors[1]


def test_disabled_and_merged_adapters_work_as_in_peft() -> None:
    x, layer = torch.ones(1, 3, 64), adapted("plain", AdaptedLinear)
    with_adapter, without = layer(x), base("plain")(x)
    assert not torch.allclose(with_adapter, without)
    layer.enable_adapters(False)
    assert torch.equal(layer(x), without)
    layer.enable_adapters(True)
    layer.merge()
    torch.testing.assert_close(layer(x), with_adapter, rtol=1e-4, atol=1e-5)


def test_every_adapter_is_ours_and_is_saved_in_the_format_of_peft(
    tiny_model: Path, tmp_path: Path
) -> None:
    tuned = lora.add_adapters(
        ministral.load(tiny_model, precision.decide("storage", CPU)),
        4,
        base_model="tiny",
        revision="0" * 40,
    )
    layers = [layer for layer in tuned.modules() if isinstance(layer, peft_lora.LoraLayer)]
    assert {type(layer) for layer in layers} == {AdaptedLinear}
    lora.save_adapters(tuned, tmp_path)
    assert "custom" not in (tmp_path / "adapter_config.json").read_text()


def test_other_bases_and_dropout_use_the_layer_of_peft() -> None:
    class Quantized(nn.Linear):
        """A subclass, like bitsandbytes' Linear4bit."""

    assert create_lora_layer(Quantized(4, 4), "default", config=CONFIG, r=4) is None
    dropped = LoraConfig(r=4, lora_dropout=0.1)
    assert create_lora_layer(nn.Linear(4, 4), "default", config=dropped, r=4) is None
