"""The counted operations of a step are those that torch counts."""

from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from steps.train.data.document import Document
from steps.train.data.packing import collate
from steps.train.model import recomputation
from steps.train.model.fused import products
from steps.train.planning import devices, flops
from steps.train.planning.shapes import MINISTRAL_3B, Shape
from tests.steps.train.support import allocator_count

pytestmark = pytest.mark.torch


def in_place(total: object, left: list[int], right: list[int], *_: object, **__: object) -> int:
    """The operations of addmm_, which torch does not list, from the shapes of its factors."""
    return 2 * left[0] * left[1] * right[1]


def counted(adapted: torch.nn.Module, documents: list[Document]) -> int:
    """Return torch's own count. It does not count flash attention on CPU, so use plain products."""
    mode = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place})
    with mode as counter, sdpa_kernel(SDPBackend.MATH):
        adapted(**collate([documents])).loss.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("mode", ["storage", "off", "native_dx"])
def test_the_formula_gives_what_torch_counts(
    tiny_model: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The formula is that of a GPU, where no adapter is added to its weight (decision 063)."""
    monkeypatch.setattr(products, "folds", lambda *_: False)
    adapted = allocator_count.adapted(tiny_model, 8, allocator_count.precision(mode))
    documents = [Document(tuple(range(20, 20 + n)), n // 3) for n in (40, 24, 96)]
    tokens = flops.Tokens.of(documents)
    # Plain products compute all pairs of a document; causal attention needs the lower triangle.
    square = flops.Tokens(tokens.tokens, sum(len(d) ** 2 for d in documents), tokens.labelled)
    assert (
        counted(adapted, documents)
        == flops.of_step(Shape.of(adapted.config.text_config), 8, square).total
    )


def test_recomputed_operations_are_not_in_the_formula(tiny_model: Path) -> None:
    adapted = allocator_count.adapted(tiny_model, 8, allocator_count.precision())
    documents = [Document(tuple(range(20, 84)), 20)]
    kept = counted(adapted, documents)
    recomputation.apply(adapted, 2)
    assert counted(adapted, documents) > kept


def test_a_lora_step_takes_two_thirds_of_six_operations_per_parameter_and_token() -> None:
    tokens = flops.Tokens(8192, 8 * 1024 * 1025 // 2, 1600)
    step = flops.of_step(MINISTRAL_3B, 16, tokens)
    parameters = MINISTRAL_3B.layers * MINISTRAL_3B.layer_weights + MINISTRAL_3B.embedding
    naive = 6 * parameters * tokens.tokens
    assert 0.6 < step.total / naive < 0.7
    assert 12.5e9 < step.total / tokens.tokens < 13.5e9


def test_tokens_of_several_passes_add_up() -> None:
    documents = [Document((1, 2, 3), 1), Document((4, 5), 0)]
    assert flops.Tokens.of(documents) == flops.Tokens(5, 6 + 3, 2 + 1)
    assert flops.Tokens.of(documents[:1]) + flops.Tokens.of(documents[1:]) == flops.Tokens.of(
        documents
    )
    assert flops.Tokens.of([]) == flops.Tokens(0, 0, 0)


@pytest.mark.parametrize(
    ("name", "bfloat16", "fp8"),
    [
        ("NVIDIA A10G", 70e12, None),
        ("NVIDIA A10", None, None),  # not the same card as the A10G
        ("NVIDIA L4", 121e12, 242e12),
        ("NVIDIA L40S", 362e12, 733e12),
        ("NVIDIA H100 80GB HBM3", 989e12, 1979e12),
        ("NVIDIA H100 PCIe", None, None),
        ("NVIDIA H200", 989e12, 1979e12),
        ("cpu", None, None),
    ],
)
def test_peak_flops_of_known_devices(name: str, bfloat16: float | None, fp8: float | None) -> None:
    assert (devices.peak_flops(name), devices.peak_flops(name, fp8=True)) == (bfloat16, fp8)
