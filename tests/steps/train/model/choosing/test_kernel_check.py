"""Kernels that raise or compute something else leave the job with the plain forms."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steps.train.model import branch, fp8_linear
from steps.train.model.choosing import kernel_check
from steps.train.model.fused import pieces
from steps.train.planning.shapes import Shape
from tests.steps.train.support.cards import a10g, h100

pytestmark = pytest.mark.torch
SHAPE = Shape(64, 96, 2, 4, 2, 16, 500)


@pytest.fixture(autouse=True)
def kernels_on_again() -> Iterator[None]:
    yield
    branch.use_kernels(True)


def good(**changes: Any) -> SimpleNamespace:
    """Kernels that compute the plain forms in bfloat16."""
    plain = {
        "gated": pieces.gated,
        "gated_gradient": pieces.gated_gradient,
        "rotated": pieces.rotated,
        "quantized_rows": lambda x, smallest: fp8_linear.quantize_rows(x),
    }
    return SimpleNamespace(**plain | changes)


def raising(*_: Any) -> Any:
    raise RuntimeError("Triton Error [CUDA]: invalid device function\nat …")


def test_kernels_that_compute_the_plain_forms_pass() -> None:
    assert kernel_check.fault(h100(), SHAPE, good()) is None


@pytest.mark.parametrize("name", ["gated", "gated_gradient", "rotated", "quantized_rows"])
def test_a_kernel_that_raises_is_named_with_its_first_line(name: str) -> None:
    found = kernel_check.fault(h100(), SHAPE, good(**{name: raising}))
    assert found is not None
    assert found.startswith(f"kernel {name}")
    assert found.endswith("RuntimeError: Triton Error [CUDA]: invalid device function")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("gated", lambda gate, up: gate * up),
        ("gated", lambda gate, up: pieces.gated(gate, up) * float("nan")),
        ("gated_gradient", lambda g, gate, up: pieces.gated_gradient(g, up, gate)),
        ("rotated", lambda x, cos, sin, direction: pieces.rotated(x, cos, sin, -direction)),
        (
            "quantized_rows",
            lambda x, smallest: (x.to(fp8_linear.E4M3), torch.full((len(x), 1), 1.2)),
        ),
    ],
)
def test_a_kernel_that_computes_something_else_is_refused(name: str, wrong: Any) -> None:
    found = kernel_check.fault(h100(), SHAPE, good(**{name: wrong}))
    assert found is not None
    assert f"kernel {name}" in found
    assert "from the plain form" in found


def test_a_card_without_fp8_needs_no_quantization() -> None:
    assert kernel_check.fault(a10g(), SHAPE, good(quantized_rows=raising)) is None


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An image with Triton, whose kernels a test may break."""
    found = good()
    monkeypatch.setattr(branch, "has_triton", lambda: True)
    monkeypatch.setattr(branch, "kernels", lambda: found)
    return found


def uses_kernels(monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(branch, "on_cuda", lambda tensor: True)
    return branch.has_kernels(torch.ones(1, dtype=torch.bfloat16))


def test_a_job_uses_the_kernels_that_pass(
    triton: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernel_check.arrange("auto", h100(), SHAPE) == "triton"
    assert uses_kernels(monkeypatch)


def test_a_job_whose_kernel_fails_uses_none_and_records_why(
    triton: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton.rotated = raising
    used = kernel_check.arrange("auto", h100(), SHAPE)
    assert used is not None
    assert used.startswith("plain: kernel rotated: RuntimeError: Triton Error")
    assert not uses_kernels(monkeypatch)


def test_the_switch_starts_no_kernel(
    triton: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton.gated = triton.rotated = lambda *_: pytest.fail("a kernel was started")
    used = kernel_check.arrange("plain", h100(), SHAPE)
    assert used == "plain: switched off by train.kernels"
    assert not uses_kernels(monkeypatch)


def test_an_image_without_triton_and_the_cpu_use_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.steps.train.support.allocator_count import CPU

    monkeypatch.setattr(branch, "has_triton", lambda: False)
    assert kernel_check.arrange("auto", h100(), SHAPE) == "plain: the image has no Triton"
    assert kernel_check.arrange("auto", CPU, SHAPE) is None
