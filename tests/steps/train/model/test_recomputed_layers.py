"""Recomputed layers take less memory and give the same gradients."""

from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from steps.train.fine_tuning.evaluation import autocast
from steps.train.model import recomputation
from tests.steps.train.support import allocator_count

pytestmark = pytest.mark.torch
LAYERS = 4


@pytest.fixture(scope="module")
def folder(make_tiny_model: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return allocator_count.model_of(
        make_tiny_model, tmp_path_factory.mktemp("four") / "model", layers=LAYERS
    )


def gradients(
    folder: Path, dtype: torch.dtype, layers: int
) -> tuple[Tensor, dict[str, Tensor], int]:
    """Return the loss, every gradient, and the bytes saved for backward."""
    how = allocator_count.precision(dtype=dtype)
    adapted = allocator_count.adapted(folder, 4, how)
    recomputation.apply(adapted, layers)
    batch = allocator_count.row(50, 70)

    def forward() -> Tensor:
        with autocast(how):
            loss: Tensor = adapted(**batch).loss
        return loss

    kept = allocator_count.saved_bytes(adapted, forward)
    loss = forward()
    loss.backward()
    return (
        loss.detach(),
        {n: p.grad for n, p in adapted.named_parameters() if p.grad is not None},
        kept,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_the_same_bit_for_bit_with_none_some_and_all_layers(
    folder: Path, dtype: torch.dtype
) -> None:
    kept_loss, kept, _ = gradients(folder, dtype, 0)
    for layers in (1, 3, LAYERS):
        loss, recomputed, _ = gradients(folder, dtype, layers)
        assert torch.equal(loss, kept_loss)
        assert len(recomputed) == len(kept) == 2 * 7 * LAYERS
        assert all(torch.equal(recomputed[name], kept[name]) for name in kept)


def test_bytes_kept_for_backward_fall_with_each_layer(folder: Path) -> None:
    kept = [gradients(folder, torch.float32, layers)[2] for layers in range(LAYERS + 1)]
    assert all(fewer < more * 0.9 for more, fewer in pairwise(kept))


def test_the_first_layers_recompute(folder: Path) -> None:
    adapted = allocator_count.adapted(folder, 4, allocator_count.precision())
    recomputation.apply(adapted, 3)
    assert [layer.gradient_checkpointing for layer in recomputation.decoder_layers(adapted)] == [
        True
    ] * 3 + [False]
    recomputation.apply(adapted, 1)  # replaces the earlier choice
    assert [layer.gradient_checkpointing for layer in recomputation.decoder_layers(adapted)] == [
        True
    ] + [False] * 3


@pytest.mark.parametrize("layers", [-1, LAYERS + 1])
def test_a_number_of_layers_out_of_range_is_refused(folder: Path, layers: int) -> None:
    adapted = allocator_count.adapted(folder, 4, allocator_count.precision())
    with pytest.raises(ValueError, match=f"expected 0 to {LAYERS} recomputed layers, got {layers}"):
        recomputation.apply(adapted, layers)
