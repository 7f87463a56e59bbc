"""The last layer computes labelled positions only, with the loss and gradients of all of them."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from steps.train.data.document import Document
from steps.train.data.packing import collate
from steps.train.fine_tuning.evaluation import autocast
from steps.train.model import lora_linear, recomputation
from steps.train.model.fused import modules
from steps.train.model.precision import Precision
from tests.steps.train.support import allocator_count

pytestmark = pytest.mark.torch
FLOAT, HALF = torch.float32, torch.bfloat16
# Relative distance from the plain form, norm of the difference over the norm. Only the order of
# sums differs; in bfloat16 each of them is rounded.
TOLERANCE = {FLOAT: 1e-6, HALF: 2**-8}
Row = dict[str, Tensor | int]
ROW = allocator_count.row(40, 24, 60, labelled=0.3)


def every_position(row: Row) -> Row:
    """The plain form: without positions, each layer computes all of them."""
    return {name: value for name, value in row.items() if name != "label_positions"}


def found(model: Any, row: Row, how: Precision) -> dict[str, Tensor]:
    """Return the loss and every adapter's gradient."""
    with autocast(how):
        loss = model(**row).loss
    loss.backward()
    result = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad(set_to_none=True)
    return {"loss": loss.detach()} | result


def distances(ours: dict[str, Tensor], plain: dict[str, Tensor]) -> list[float]:
    assert ours.keys() == plain.keys()
    pairs = [(ours[name].double(), plain[name].double()) for name in ours]
    return [float((one - other).norm() / other.norm()) for one, other in pairs]


def rows_of(linears: Callable[[Any], nn.Module], model: nn.Module, row: Row) -> list[int]:
    """Return how many positions this module of each layer gets."""
    seen: list[int] = []
    hooks = [
        linears(layer).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
        for layer in recomputation.decoder_layers(model)
    ]
    model(**row)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("recomputed", [0, 2])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("mode", ["storage", "off", "native_dx"])
def test_loss_and_gradients_are_those_of_all_positions(
    tiny_model: Path, mode: str, dtype: torch.dtype, recomputed: int
) -> None:
    how = allocator_count.precision(mode, dtype)
    model = allocator_count.adapted(tiny_model, 8, how)
    recomputation.apply(model, recomputed)
    ours, plain = found(model, ROW, how), found(model, every_position(ROW), how)
    assert len(ours) == 1 + 2 * 7 * 2
    assert max(distances(ours, plain)) <= TOLERANCE[dtype]


def test_the_only_layer_of_a_model_is_its_last(make_tiny_model: ModuleType, tmp_path: Path) -> None:
    how = allocator_count.precision()
    folder = allocator_count.model_of(make_tiny_model, tmp_path / "m", layers=1)
    model = allocator_count.adapted(folder, 8, how)
    ours, plain = found(model, ROW, how), found(model, every_position(ROW), how)
    assert max(distances(ours, plain)) <= TOLERANCE[FLOAT]


def test_only_the_last_layer_skips_positions(tiny_model: Path) -> None:
    model = allocator_count.adapted(tiny_model, 8, allocator_count.precision())
    labelled = len(ROW["label_positions"])  # type: ignore[arg-type]  # a tensor
    assert 0 < labelled < 124 / 2
    for part in (
        lambda layer: layer.mlp,
        lambda layer: layer.post_attention_layernorm,
        lambda layer: layer.self_attn.o_proj,
    ):
        assert rows_of(part, model, ROW) == [124, labelled]
        assert rows_of(part, model, every_position(ROW)) == [124, 124]


@pytest.mark.parametrize("plain_modules", [True, False])
def test_each_tokens_loss_is_that_of_all_positions(tiny_model: Path, plain_modules: bool) -> None:
    """Also where transformers' own attention runs, as with disabled adapters and NF4."""
    model = allocator_count.adapted(tiny_model, 8, allocator_count.precision()).eval()
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        if plain_modules:
            patch.setattr(lora_linear.AdaptedLinear, "is_plain", False)
        ours, plain = (model(**row, by_token=True).loss for row in (ROW, every_position(ROW)))
        with model.disable_adapter():
            base = model(**ROW, by_token=True).loss
    torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-6)
    assert ours.shape == base.shape
    assert (ours - base).abs().max() > 1e-3


def test_a_blank_row_gives_every_adapter_a_gradient_of_zero(tiny_model: Path) -> None:
    """Another process waits for each of them (row_order.py)."""
    how = allocator_count.precision()
    model = allocator_count.adapted(tiny_model, 8, how)
    blank: Row = {**collate([[Document((0,), 1)]]), "num_items_in_batch": 7}
    ours = found(model, blank, how)
    assert len(ours) == 1 + 2 * 7 * 2
    assert not any(value.any() for value in ours.values())


def test_logits_are_those_of_every_position(tiny_model: Path) -> None:
    """Generation and the check of an export read them."""
    model = allocator_count.adapted(tiny_model, 8, allocator_count.precision()).eval()
    layers = [type(layer) for layer in recomputation.decoder_layers(model)]
    assert [kind is modules.LastLayer for kind in layers] == [False, True]
    with torch.no_grad():
        logits = model(input_ids=ROW["input_ids"][:, :40]).logits  # type: ignore[index]  # a tensor
    assert logits.shape[1] == 40
