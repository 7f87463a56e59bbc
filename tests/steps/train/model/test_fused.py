"""The fused modules compute what transformers' own do, in value and in every gradient."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.models.ministral3 import modeling_ministral3 as stock

from scripts.training_bench.cases import fp8_modes
from scripts.training_bench.job import Job
from steps.train.fine_tuning.evaluation import autocast
from steps.train.model import ministral
from steps.train.model.fused import grouped, modules
from steps.train.model.fused.norm import FusedRmsNorm
from steps.train.model.fused.rotary import rotate
from tests.steps.train.support import allocator_count

pytestmark = pytest.mark.torch
# Largest relative distance (norm of the difference over the norm) from the plain form in float32.
# bfloat16 rounds once where the plain form rounds up to three times: 2^-8 is one rounding.
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 2**-7}


def distance(ours: Tensor, plain: Tensor) -> float:
    ours, plain = ours.detach().double(), plain.detach().double()
    return float((ours - plain).norm() / plain.norm())


def compared(
    ours: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: list[Tensor]
) -> list[float]:
    """Return the distances of the value and of each input's gradient; plain is in float32."""
    results = []
    for function, dtype in ((ours, None), (plain, torch.float32)):
        given = [x.detach().to(dtype or x.dtype).requires_grad_() for x in inputs]
        y = function(*given)
        weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(9))
        (y.float() * weight).sum().backward()
        results.append([y, *(x.grad for x in given)])
    return [distance(one, other) for one, other in zip(*results, strict=True)]


def random(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_norm_and_its_gradient(dtype: torch.dtype) -> None:
    made = {}
    for kind, of in ((FusedRmsNorm, dtype), (stock.Ministral3RMSNorm, torch.float32)):
        made[kind] = kind(64, eps=1e-5).requires_grad_(False)
        made[kind].weight = nn.Parameter(random(64, dtype=dtype, seed=1).to(of), False)
    x = random(2, 9, 64, dtype=dtype, seed=2)
    found = compared(made[FusedRmsNorm], made[stock.Ministral3RMSNorm], [x])
    assert max(found) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_rotation_and_its_gradient(dtype: torch.dtype) -> None:
    angles = torch.rand(1, 9, 16, generator=torch.Generator().manual_seed(4)).repeat(1, 1, 2) * 6
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)

    def plain(x: Tensor) -> Tensor:
        heads = x.transpose(1, 2)  # transformers' layout
        rotated, _ = stock.apply_rotary_pos_emb(heads, heads, cos.float(), sin.float())
        return rotated.transpose(1, 2)

    x = random(1, 9, 3, 32, dtype=dtype, seed=5)
    found = compared(lambda x: rotate(x, cos, sin), plain, [x])
    assert max(found) <= TOLERANCE[dtype]


@contextmanager
def stock_modules(model: nn.Module) -> Iterator[None]:
    """Let the model run transformers' own modules and PEFT's own layers in this block."""
    back = {fused: plain for plain, fused in modules._REPLACED.items()}
    back[modules.LastLayer] = stock.Ministral3DecoderLayer
    with pytest.MonkeyPatch.context() as patch:
        for module in model.modules():
            if type(module) in back:
                patch.setattr(module, "__class__", back[type(module)])
        patch.setattr("steps.train.model.lora_linear.AdaptedLinear.is_plain", False)
        compute_every_position(patch)
        yield


def compute_every_position(patch: pytest.MonkeyPatch) -> None:
    """Let models compute every position in every layer, as transformers' layers do."""
    chosen = ministral.PackedMinistral._labelled
    every = lambda self, labels, _, **kwargs: chosen(self, labels, None, **kwargs)  # noqa: E731
    patch.setattr(ministral.PackedMinistral, "_labelled", every)


def loss_and_gradients(model: Any, how: Any) -> dict[str, Tensor]:
    with autocast(how):
        loss = model(**allocator_count.row(40, 24, 60)).loss
    loss.backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad(set_to_none=True)
    return {"loss": loss.detach()} | found


@pytest.mark.parametrize("mode", ["storage", "off"])
def test_a_whole_model_in_float32_has_the_same_loss_and_gradients(
    tiny_model: Path, mode: str
) -> None:
    how = allocator_count.precision(mode)
    model = allocator_count.adapted(tiny_model, 8, how)
    ours = loss_and_gradients(model, how)
    with stock_modules(model):
        theirs = loss_and_gradients(model, how)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 1 + 2 * 7 * 2
    assert max(distance(ours[name], theirs[name]) for name in ours) <= 5e-6  # of whole models
    assert distance(ours["loss"], theirs["loss"]) <= 1e-6


@pytest.mark.parametrize("mode", ["storage", "native_dx", "off"])
def test_under_autocast_gradients_are_as_near_to_float32_as_the_plain_ones(
    tiny_model: Path, mode: str
) -> None:
    exact_how = allocator_count.precision("off" if mode == "off" else "storage")
    exact = loss_and_gradients(allocator_count.adapted(tiny_model, 8, exact_how), exact_how)
    how = allocator_count.precision(mode, torch.bfloat16)
    model = allocator_count.adapted(tiny_model, 8, how)
    ours = loss_and_gradients(model, how)
    with stock_modules(model):
        theirs = loss_and_gradients(model, how)

    def error(found: dict[str, Tensor]) -> float:
        return sum(distance(found[name], exact[name]) for name in exact) / len(exact)

    assert error(ours) <= 1.1 * error(theirs)


@pytest.mark.parametrize("tokens", [9, 90])  # few: added product by product; many: to the weight
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_grouped_adapters_and_the_gated_product_with_every_gradient(
    tokens: int, dtype: torch.dtype
) -> None:
    """Two adapted linears over one input, and a third over the gated product of their outputs."""
    bases = [nn.Linear(32, 48, bias=False), nn.Linear(32, 48, bias=False)]
    bases.append(nn.Linear(48, 32, bias=False))
    shapes = [(4, 32), (4, 32), (48, 4), (48, 4), (4, 48), (32, 4)]
    for number, base in enumerate(bases):
        weight = 0.2 * random(*base.weight.shape, dtype=torch.float32, seed=20 + number)
        base.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    inputs = [random(tokens, 32, dtype=dtype, seed=30)]
    inputs += [0.2 * random(*shape, dtype=dtype, seed=31 + n) for n, shape in enumerate(shapes)]

    def ours(x: Tensor, *adapters: Tensor) -> Tensor:
        gate, up = grouped.adapted(x, (tuple(bases[:2]), 2.0), adapters[:4])
        return grouped.adapted_gated(gate, up, ((bases[2],), 2.0), adapters[4:])

    def plain(x: Tensor, *adapters: Tensor) -> Tensor:
        def linear(at: int, x: Tensor, down: Tensor, up: Tensor) -> Tensor:
            return x @ bases[at].weight.float().t() + 2.0 * (x @ down.t() @ up.t())

        (gate_down, up_down, gate_up, up_up, down, up) = adapters
        gated = nn.functional.silu(linear(0, x, gate_down, gate_up)) * linear(1, x, up_down, up_up)
        return linear(2, gated, down, up)

    assert max(compared(ours, plain, inputs)) <= TOLERANCE[dtype]


@pytest.mark.long
@pytest.mark.parametrize(("mode", "bound"), [("storage", 0.005), ("native_dx", 0.015)])
def test_120_steps_have_the_curve_that_they_had_before_the_pieces_were_fused(
    tiny_model: Path, mode: str, bound: float
) -> None:
    """The bounds of decision 009, with the loop that trains. In bfloat16, as on a GPU."""
    job = Job("curve", str(tiny_model), 1, bfloat16=True)
    ours = fp8_modes.curve(job, mode=mode)["losses"]
    with stock_classes():
        theirs = fp8_modes.curve(job, mode=mode)["losses"]
    assert len(ours) == len(theirs) == 120
    assert ours[-1] < 0.9 * ours[0]
    assert max(abs(one / other - 1) for one, other in zip(ours, theirs, strict=True)) <= bound


@contextmanager
def stock_classes() -> Iterator[None]:
    """Let models that are made in this block have transformers' modules and PEFT's layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "replace", lambda model: None)
        compute_every_position(patch)
        patch.setattr("steps.train.model.lora_linear.AdaptedLinear.is_plain", False)
        yield


def test_positions_beyond_the_original_context_are_scaled(tiny_model: Path) -> None:
    """Below it the scale is 1 and is not computed; beyond it transformers' formula holds."""
    model = allocator_count.adapted(tiny_model, 8, allocator_count.precision())
    attention = next(m for m in model.modules() if isinstance(m, modules.FusedAttention))
    original = attention.config.rope_parameters["original_max_position_embeddings"]
    query, positions = torch.ones(1, 2, 4, 32), torch.tensor([[0, 3 * original]])
    assert attention._scaled(query, positions, original) is query
    scaled = attention._scaled(query, positions, 3 * original + 1)
    assert torch.equal(scaled[:, 0], query[:, 0])
    assert scaled[0, 1, 0, 0] == pytest.approx(1 + 0.1 * torch.log(torch.tensor(4.0)).item())


def test_a_model_is_replaced_once_and_keeps_its_weights(tiny_model: Path) -> None:
    model = allocator_count.adapted(tiny_model, 8, allocator_count.precision())
    kinds = [type(module) for module in model.modules()]
    layers = model.config.text_config.num_hidden_layers
    assert kinds.count(FusedRmsNorm) == 2 * layers + 1
    assert kinds.count(modules.FusedMlp) == kinds.count(modules.FusedAttention) == layers
