"""The CUDA branches against their CPU twins. Run on a GPU: `pytest tests/steps/train -m gpu`."""

from pathlib import Path

import pytest
import torch

from steps.train import batching, fp8, lora, model, packing, precision
from steps.train.attention import packed_attention
from steps.train.evaluation import autocast, on_device
from steps.train.precision import Device, Precision

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.torch,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def capable() -> bool:
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= fp8.NATIVE_CAPABILITY


needs_fp8 = pytest.mark.skipif(not capable(), reason="no FP8 tensor cores here")


def row() -> list[packing.Document]:
    return [packing.Document((1, *range(20, 20 + n), 2), n // 2) for n in (31, 200, 64)]


@pytest.mark.parametrize("width", [32, 128])
def test_varlen_attention_and_its_gradient_equal_sdpa_per_document(width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, heads, 150, width) for heads in (8, 2, 2)]
    on_cpu = [torch.randn(s, generator=generator).bfloat16().float().requires_grad_() for s in shapes]
    on_gpu = [t.detach().cuda().bfloat16().requires_grad_() for t in on_cpu]
    borders = torch.tensor([0, 40, 41, 150], dtype=torch.int32)
    module = torch.nn.Module()
    slow, _ = packed_attention(module, *on_cpu, None, scaling=width**-0.5, cu_seq_lens_q=borders, max_length_q=109)
    fast, _ = packed_attention(
        module, *on_gpu, None, scaling=width**-0.5, cu_seq_lens_q=borders.cuda(), max_length_q=109
    )
    torch.testing.assert_close(fast.float().cpu(), slow, rtol=0.02, atol=0.02)
    slow.sum().backward()
    fast.float().sum().backward()
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad.float().cpu(), theirs.grad, rtol=0.05, atol=0.05)


def test_every_code_decodes_on_the_gpu_as_on_the_cpu() -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    there = fp8.decode(codes.cuda(), torch.bfloat16).cpu()
    assert torch.equal(there.nan_to_num(7), fp8.decode(codes, torch.bfloat16).nan_to_num(7))


@needs_fp8
@pytest.mark.parametrize("tokens", [1, 17, 256])
def test_native_multiplies_within_quantization_error_for_any_number_of_tokens(tokens: int) -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(512, 256, generator=generator) * 0.02
    scale = weight.abs().amax() / fp8.E4M3_MAX
    storage, native = (fp8.Fp8Linear((weight / scale).to(fp8.E4M3), scale, native=n).cuda() for n in (False, True))
    x = torch.randn(tokens, 256, generator=generator).cuda().bfloat16().requires_grad_()
    exact = storage(x).float()
    assert (native(x).float() - exact).norm() / exact.norm() < 0.05
    gradients = [torch.autograd.grad(linear(x).float().sum(), x)[0] for linear in (native, storage)]
    assert torch.equal(*gradients)


@pytest.mark.parametrize("mode", ["storage", pytest.param("native", marks=needs_fp8), "off", "nf4"])
def test_each_mode_computes_the_cpus_loss_and_reaches_every_adapter(tiny_model: Path, mode: str) -> None:
    cpu = precision.decide("storage", Device(torch.device("cpu"), "cpu", None))
    reference = model.load(tiny_model, cpu)(**packing.collate([row()])).loss.item()
    here = precision.decide(mode, Device.here())
    adapted = lora.add_adapters(model.load(tiny_model, here), 8, base_model="tiny", revision="0" * 40)
    adapted.train()
    with autocast(here):
        loss = adapted(**on_device(packing.collate([row()]), here)).loss
    loss.backward()
    assert loss.item() == pytest.approx(reference, rel={"nf4": 0.1, "native": 0.03}.get(mode, 0.01))
    assert all(p.grad is not None and p.dtype is torch.float32 for p in adapted.parameters() if p.requires_grad)


@needs_fp8
def test_auto_is_native_and_bfloat16_here() -> None:
    decided: Precision = precision.decide("auto", Device.here())
    assert (decided.effective, decided.dtype) == ("native", torch.bfloat16)


def test_batching_fills_the_gpu_with_the_same_optimizer_step() -> None:
    decided = batching.decide(Device.here(), 2048)
    assert decided.micro_rows * decided.accumulation == batching.ROWS_PER_STEP
