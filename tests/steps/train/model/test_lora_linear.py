"""Our LoRA layer is PEFT's, in fewer passes over memory."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from peft.tuners import lora as peft_lora
from torch import Tensor, nn

from steps.train.model import lora, ministral, precision
from steps.train.model.fp8_linear import E4M3, Fp8Linear
from steps.train.model.lora_linear import AdaptedLinear, instead_of_pefts
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


def adapted(kind: str, made_by: type) -> peft_lora.Linear:
    layer: peft_lora.Linear = made_by(base(kind), "default", config=CONFIG, r=4, lora_alpha=8)
    for seed, part in enumerate((layer.lora_A, layer.lora_B)):
        nn.init.normal_(
            part["default"].weight, std=0.1, generator=torch.Generator().manual_seed(seed)
        )
    return layer


def trained(layer: nn.Module, autocast: bool) -> list[Tensor]:
    """Output, and the gradients of input, A and B."""
    x = torch.randn(2, 9, 64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
        y = layer(x)
    y.float().square().sum().backward()
    return [y, x.grad, *(p.grad for p in layer.parameters() if p.requires_grad)]


@pytest.mark.parametrize("kind", ["fp8", "plain"])
@pytest.mark.parametrize(("autocast", "tolerance"), [(False, 1e-5), (True, 2e-2)])
def test_output_and_every_gradient_are_pefts(kind: str, autocast: bool, tolerance: float) -> None:
    ours, theirs = (
        trained(adapted(kind, made_by), autocast) for made_by in (AdaptedLinear, peft_lora.Linear)
    )
    assert len(ours) == 4
    for mine, wanted in zip(ours, theirs, strict=True):
        assert (mine.dtype, mine.shape) == (wanted.dtype, wanted.shape)
        assert (mine.float() - wanted.float()).norm() <= tolerance * wanted.float().norm()


def test_bfloat16_output_is_nearer_to_the_exact_one_than_pefts() -> None:
    exact = adapted("plain", peft_lora.Linear)(torch.ones(1, 5, 64))
    errors = []
    for made_by in (AdaptedLinear, peft_lora.Linear):
        with torch.autocast("cpu", torch.bfloat16):
            errors.append(
                (adapted("plain", made_by)(torch.ones(1, 5, 64)).float() - exact).norm().item()
            )
    assert errors[0] <= errors[1]


def test_disabled_and_merged_adapters_are_pefts_business() -> None:
    x, layer = torch.ones(1, 3, 64), adapted("plain", AdaptedLinear)
    with_adapter, without = layer(x), base("plain")(x)
    assert not torch.allclose(with_adapter, without)
    layer.enable_adapters(False)
    assert torch.equal(layer(x), without)
    layer.enable_adapters(True)
    layer.merge()
    torch.testing.assert_close(layer(x), with_adapter, rtol=1e-4, atol=1e-5)


def test_every_adapter_of_a_model_is_ours_and_named_as_pefts(
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


def test_a_base_that_it_was_not_made_for_is_left_to_peft() -> None:
    class Quantized(nn.Linear):
        """As bitsandbytes' Linear4bit is one."""

    assert instead_of_pefts(Quantized(4, 4), "default", config=CONFIG, r=4) is None
    dropped = LoraConfig(r=4, lora_dropout=0.1)
    assert instead_of_pefts(nn.Linear(4, 4), "default", config=dropped, r=4) is None
