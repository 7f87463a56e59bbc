"""FP8 linears: decoding, both ways to multiply, gradients, and what is saved for backward."""

import pytest
import torch
from torch.nn import functional

from steps.train.model import fp8_linear
from steps.train.model.fp8_linear import Fp8Linear
from tests.steps.train.support import allocator_count

pytestmark = pytest.mark.torch


def layer(
    out: int = 48, width: int = 64, native: bool = False, native_gradient: bool = False
) -> Fp8Linear:
    weight = torch.randn(out, width, generator=torch.Generator().manual_seed(0)) * 0.02
    scale = weight.abs().amax() / fp8_linear.E4M3_MAX
    return Fp8Linear(
        (weight / scale).to(fp8_linear.E4M3), scale, native=native, native_gradient=native_gradient
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_code_decodes_to_torchs_own_value(dtype: torch.dtype) -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    expected = codes.view(fp8_linear.E4M3).to(dtype)
    assert torch.equal(fp8_linear.decode(codes, dtype).nan_to_num(7), expected.nan_to_num(7))
    finite = expected.isfinite()
    assert torch.equal(fp8_linear._decode_integers(codes, dtype)[finite], expected[finite])


def test_scale_multiplies_the_weight_although_it_is_called_inverse() -> None:
    linear = Fp8Linear(torch.full((16, 16), 2.0).to(fp8_linear.E4M3), torch.tensor(0.5))
    assert torch.equal(linear(torch.ones(1, 16)), torch.full((1, 16), 16.0))
    assert torch.equal(linear.dequantized(torch.float32), torch.ones(16, 16))


def test_forward_and_gradient_equal_those_of_the_dequantized_weight() -> None:
    linear, generator = layer(), torch.Generator().manual_seed(1)
    x = torch.randn(5, 64, generator=generator, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    upstream = torch.randn(5, 48, generator=generator)
    linear(x).backward(upstream)
    functional.linear(twin, linear.dequantized(torch.float32)).backward(upstream)
    assert x.grad is not None
    torch.testing.assert_close(
        linear(x), functional.linear(twin, linear.dequantized(torch.float32))
    )
    torch.testing.assert_close(x.grad, twin.grad)


def test_only_the_one_byte_weight_is_saved_for_backward() -> None:
    class Naive(Fp8Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return functional.linear(input, self.dequantized(input.dtype))

    x = torch.randn(2, 64, requires_grad=True)
    naive = layer()
    naive.__class__ = Naive
    ours = layer()
    assert allocator_count.saved_bytes(ours, lambda: ours(x)) == 0
    # A plain matrix product saves the decoded weight.
    assert allocator_count.saved_bytes(naive, lambda: naive(x)) > 0


def test_native_multiplies_in_fp8_within_quantization_error() -> None:
    native, storage = layer(native=True), layer()
    x = torch.randn(32, 64, generator=torch.Generator().manual_seed(2)).bfloat16()
    x[:, :3] *= 20  # outlier channels, as real activations have
    exact = storage(x.float())
    difference = (native(x).float() - exact).norm() / exact.norm()
    assert 0 < difference < 0.05


def test_native_multiplies_a_row_of_zeros() -> None:
    assert torch.equal(layer(native=True)(torch.zeros(16, 64)), torch.zeros(16, 48))


def test_the_default_gradient_of_native_is_that_of_storage() -> None:
    x = torch.randn(16, 64, requires_grad=True)
    gradients = [
        torch.autograd.grad(linear(x).sum(), x)[0] for linear in (layer(native=True), layer())
    ]
    assert torch.equal(*gradients)


def test_the_fp8_input_gradient_is_within_quantization_error_of_the_exact_one() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(32, 64, requires_grad=True)
    # Below the range of e4m3, and of different magnitude per row: every row needs its scale.
    upstream = torch.randn(32, 48, generator=generator) * 1e-6
    upstream *= torch.exp(2 * torch.randn(32, 1, generator=generator))
    ours, exact = (
        torch.autograd.grad(linear(x), x, upstream)[0]
        for linear in (layer(native=True, native_gradient=True), layer(native=True))
    )
    assert 0 < (ours - exact).norm() / exact.norm() < 0.05


def test_the_fp8_input_gradient_reads_the_weight_by_column() -> None:
    """The tensor cores require this layout; the CPU accepts others too."""
    bits = layer().weight
    by_column = fp8_linear.by_column(bits)
    assert by_column.stride() == (1, bits.shape[0])
    assert torch.equal(by_column.view(torch.uint8), bits)


def test_casting_the_model_does_not_decode_the_bits() -> None:
    linear = layer()
    before = linear.weight.clone()
    assert torch.equal(linear.to(torch.float16).weight, before)
