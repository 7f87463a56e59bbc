"""The CUDA branches compute what the CPU branches do. Run: `pytest tests/steps/train -m gpu`."""

import gc
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from steps.train.data import packing
from steps.train.data.document import Document
from steps.train.fine_tuning.evaluation import autocast, on_device
from steps.train.model import (
    branch,
    compiling,
    fp8_linear,
    lora,
    ministral,
    precision,
    recomputation,
)
from steps.train.model.choosing import kernel_check, measured
from steps.train.model.fused import pieces
from steps.train.model.packed_attention import packed_attention
from steps.train.model.precision import Precision
from steps.train.planning import batching, memory
from steps.train.planning.devices import Device
from steps.train.planning.shapes import MINISTRAL_3B
from tests.steps.train.support import allocator_count

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.torch,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def capable() -> bool:
    return torch.cuda.is_available() and Device.here().has_fp8


needs_fp8 = pytest.mark.skipif(not capable(), reason="no FP8 tensor cores here")


def row() -> list[Document]:
    return [Document((1, *range(20, 20 + n), 2), n // 2) for n in (31, 200, 64)]


@pytest.mark.parametrize("width", [32, 128])
def test_varlen_attention_and_its_gradient_equal_sdpa_per_document(width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, heads, 150, width) for heads in (8, 2, 2)]
    on_cpu = [
        torch.randn(s, generator=generator).bfloat16().float().requires_grad_() for s in shapes
    ]
    on_gpu = [t.detach().cuda().bfloat16().requires_grad_() for t in on_cpu]
    borders = torch.tensor([0, 40, 41, 150], dtype=torch.int32)
    module = torch.nn.Module()
    slow, _ = packed_attention(
        module, *on_cpu, None, scaling=width**-0.5, cu_seq_lens_q=borders, max_length_q=109
    )
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
    there = fp8_linear.decode(codes.cuda(), torch.bfloat16).cpu()
    assert torch.equal(there.nan_to_num(7), fp8_linear.decode(codes, torch.bfloat16).nan_to_num(7))


@needs_fp8
@pytest.mark.parametrize("tokens", [1, 17, 256])
def test_native_multiplies_within_quantization_error_for_any_number_of_tokens(tokens: int) -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(512, 256, generator=generator) * 0.02
    scale = weight.abs().amax() / fp8_linear.E4M3_MAX
    storage, native = (
        fp8_linear.Fp8Linear((weight / scale).to(fp8_linear.E4M3), scale, native=n).cuda()
        for n in (False, True)
    )
    x = torch.randn(tokens, 256, generator=generator).cuda().bfloat16().requires_grad_()
    exact = storage(x).float()
    assert (native(x).float() - exact).norm() / exact.norm() < 0.05
    gradients = [torch.autograd.grad(linear(x).float().sum(), x)[0] for linear in (native, storage)]
    assert torch.equal(*gradients)


@needs_fp8
@pytest.mark.parametrize("tokens", [1, 17, 256])
def test_the_fp8_input_gradient_is_within_quantization_error_for_any_number_of_tokens(
    tokens: int,
) -> None:
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(512, 256, generator=generator) * 0.02
    scale = weight.abs().amax() / fp8_linear.E4M3_MAX
    bits = (weight / scale).to(fp8_linear.E4M3)
    storage, in_fp8 = (
        fp8_linear.Fp8Linear(bits, scale, native=n, native_gradient=n).cuda() for n in (False, True)
    )
    x = torch.randn(tokens, 256, generator=generator).cuda().bfloat16().requires_grad_()
    upstream = (torch.randn(tokens, 512, generator=generator) * 1e-4).cuda().bfloat16()
    ours, exact = (
        torch.autograd.grad(linear(x), x, upstream)[0].float() for linear in (in_fp8, storage)
    )
    assert 0 < (ours - exact).norm() / exact.norm() < 0.05


@needs_fp8
def test_each_kernel_computes_the_plain_form_here() -> None:
    gate, up, gradient = (torch.randn(300, 513, device="cuda").bfloat16() for _ in range(3))
    wide = [part.float() for part in (gradient.clone(), gate, up)]  # float32 takes the plain form
    assert branch.has_kernels(gate)
    assert not branch.has_kernels(wide[0])
    pairs = [(pieces.gated(gate, up), pieces.gated(*wide[1:]))]
    results = pieces.gated_gradient(gradient.clone(), gate, up), pieces.gated_gradient(*wide)
    pairs += zip(*results, strict=True)
    heads, angles = torch.randn(1, 90, 32, 128, device="cuda").bfloat16(), []
    for seed in (1, 2):
        half = torch.rand(1, 90, 64, generator=torch.Generator().manual_seed(seed))
        angles.append(half.repeat(1, 1, 2).cuda().bfloat16())
    plain = pieces.rotated(heads.float(), *(each.float() for each in angles), -1)
    pairs.append((pieces.rotated(heads, *angles, -1), plain))
    assert all((one.float() - two).norm() <= 2**-8 * two.norm() for one, two in pairs)
    (codes, scales), (plain_codes, plain_scales) = (
        fp8_linear.quantize_rows(gate),
        fp8_linear.quantize_rows(gate.float()),
    )
    assert torch.equal(scales, plain_scales)
    assert torch.equal(codes.view(torch.uint8), plain_codes.view(torch.uint8))


@pytest.mark.skipif(not branch.has_triton(), reason="no Triton here")
def test_every_kernel_passes_the_check_that_a_job_makes_here() -> None:
    assert kernel_check.fault(Device.here(), MINISTRAL_3B, branch.kernels()) is None


def test_auto_times_every_mode_here_within_its_time(wide_model: Path) -> None:
    settings: Any = SimpleNamespace(
        lora_rank=16, optimizer="adamw", sequence_length=2048, sharding="auto"
    )
    began = time.monotonic()
    tried = measured.measure(settings, wide_model, precision.decide("auto", Device.here()))
    assert [each.fault for each in tried] == [None] * len(tried)
    assert all(each.tokens_per_second for each in tried)
    assert time.monotonic() - began < 60, "4 s, and compilers at the first use"


def gpu_precision(mode: str) -> Precision:
    return Precision(mode, mode, torch.bfloat16, Device.here())


def full_row(tokens: int) -> dict[str, torch.Tensor | int]:
    return on_device(
        allocator_count.row(*[tokens // 8] * 8, labelled=1.0), gpu_precision("storage")
    )


@pytest.fixture(scope="module")
def wide_model(make_tiny_model: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four layers of Ministral-3-3B's own sizes, with its vocabulary."""
    sizes = asdict(replace(MINISTRAL_3B, layers=4))
    return allocator_count.model_of(
        make_tiny_model, tmp_path_factory.mktemp("wide") / "model", **sizes
    )


@pytest.mark.parametrize("recomputed", [0, 2, 4])
@pytest.mark.parametrize("mode", ["storage", "off", pytest.param("native_dx", marks=needs_fp8)])
def test_the_peak_at_8192_tokens_is_that_of_the_memory_model(
    wide_model: Path, mode: str, recomputed: int
) -> None:
    how = gpu_precision(mode)
    gc.collect()
    others = torch.cuda.memory_allocated()
    adapted = allocator_count.adapted(wide_model, 16, how)
    recomputation.apply(adapted, recomputed)
    trainable = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-4, fused=True)
    batch = full_row(8192)
    for _ in range(2):  # gradients and optimizer state exist in the second step
        torch.cuda.reset_peak_memory_stats()
        with autocast(how):
            loss = adapted(**batch).loss
        loss.backward()
        optimizer.step()
    plan = how.plan(ministral.shape(wide_model), rank=16, optimizer="adamw")
    predicted = memory.peak(plan, 8192, recomputed=recomputed).total
    assert torch.cuda.max_memory_allocated() - others == pytest.approx(predicted, rel=0.1)


@pytest.mark.parametrize("sequence_length", [512, 8192])
def test_what_batching_decides_runs_here(wide_model: Path, sequence_length: int) -> None:
    how = precision.decide("auto", Device.here())
    plan = how.plan(ministral.shape(wide_model), rank=16, optimizer="adamw")
    decided = batching.decide(how.device, sequence_length, plan=plan)
    adapted = allocator_count.adapted(wide_model, 16, how)
    recomputation.apply(adapted, decided.recomputed_layers)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with autocast(how):
        adapted(**full_row(decided.micro_rows * sequence_length)).loss.backward()
    total = torch.cuda.get_device_properties(how.device.torch_device).total_memory
    assert torch.cuda.max_memory_reserved() < total * (1 - batching.MARGIN / 2)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("mode", ["storage", pytest.param("native_dx", marks=needs_fp8)])
def test_compiled_layers_compute_the_eager_loss_and_gradients(tiny_model: Path, mode: str) -> None:
    how, results = gpu_precision(mode), []
    for compiled in (False, True):
        adapted = allocator_count.adapted(tiny_model, 8, how)
        if compiled:
            compiling.compile_layers(adapted, how.device)
        with autocast(how):
            loss = adapted(**on_device(allocator_count.row(60, 70), how)).loss
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in adapted.parameters() if p.grad is not None])
        results.append((loss.item(), gradient))
    (eager_loss, eager), (loss, gradient) = results
    assert loss == pytest.approx(eager_loss, rel=0.01)  # bfloat16, fused differently
    assert (gradient - eager).norm() < 0.05 * eager.norm()


@pytest.mark.parametrize(
    "mode", ["storage", pytest.param("native_dx", marks=needs_fp8), "off", "nf4"]
)
def test_each_mode_computes_the_cpus_loss_and_reaches_every_adapter(
    tiny_model: Path, mode: str
) -> None:
    cpu = precision.decide("storage", Device(torch.device("cpu"), "cpu", None))
    reference = ministral.load(tiny_model, cpu)(**packing.collate([row()])).loss.item()
    here = precision.decide(mode, Device.here())
    adapted = lora.add_adapters(
        ministral.load(tiny_model, here), 8, base_model="tiny", revision="0" * 40
    )
    adapted.train()
    with autocast(here):
        loss = adapted(**on_device(packing.collate([row()]), here)).loss
    loss.backward()
    assert loss.item() == pytest.approx(
        reference, rel={"nf4": 0.1, "native_dx": 0.03}.get(mode, 0.01)
    )
    assert all(
        p.grad is not None and p.dtype is torch.float32
        for p in adapted.parameters()
        if p.requires_grad
    )


@needs_fp8
def test_auto_is_native_and_bfloat16_here() -> None:
    decided: Precision = precision.decide("auto", Device.here())
    assert (decided.effective, decided.dtype) == ("native_dx", torch.bfloat16)


def test_batching_fills_the_gpu_with_the_same_optimizer_step() -> None:
    decided = batching.decide(Device.here(), 2048, plan=memory.Plan(MINISTRAL_3B, "storage", 16))
    assert decided.micro_rows * decided.accumulation == batching.ROWS_PER_STEP
