"""Compiled decoder layers compute what the eager ones do."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from steps.governance.errors import UsageError
from steps.train import checkpointing, compiling, generation
from steps.train.chat import Chat
from steps.train.packing import Document
from steps.train.precision import Device
from tests.steps.train import measuring

pytestmark = [
    pytest.mark.torch,
    # all three are about torch's own code: what it imports, and what dynamo looks at while it traces
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning"),
]
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler, and there is none"
)
ROWS = ((50, 70), (30, 40, 50, 9))  # another number of documents and of tokens each time


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no pool of processes that outlives the test
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def trained(folder: Path, *, compiled: bool, recomputed: int, mode: str) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Loss and gradients for each of ROWS."""
    adapted = measuring.adapted(folder, 4, measuring.precision(mode))
    checkpointing.apply(adapted, recomputed)
    if compiled:
        compiling.compile_layers(adapted, measuring.CPU)
    results = []
    for lengths in ROWS:
        adapted.zero_grad()
        loss = adapted(**measuring.row(*lengths)).loss
        loss.backward()
        gradients = {name: p.grad for name, p in adapted.named_parameters() if p.grad is not None}
        results.append((loss.detach(), gradients))
    return results


@needs_compiler
@pytest.mark.parametrize(("mode", "recomputed"), [("storage", 0), ("native_dx", 1)])
def test_loss_and_gradients_are_the_eager_ones(tiny_model: Path, mode: str, recomputed: int) -> None:
    eager = trained(tiny_model, compiled=False, recomputed=recomputed, mode=mode)
    compiled = trained(tiny_model, compiled=True, recomputed=recomputed, mode=mode)
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    for (loss, gradients), (other_loss, other) in zip(eager, compiled, strict=True):
        assert other_loss.item() == pytest.approx(loss.item(), rel=1e-5)
        assert gradients.keys() == other.keys()
        for name, gradient in gradients.items():
            assert (other[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_answers_are_generated_without_compiling(tiny_model: Path) -> None:
    adapted = measuring.adapted(tiny_model, 4, measuring.precision())
    compiling.compile_layers(adapted, measuring.CPU)
    question = Document((1, 3, 30, 31, 4, 32, 2), 5)
    generation.sample(adapted, Chat(tiny_model), question, measuring.precision())
    assert not torch._dynamo.utils.counters["frames"]


def test_without_a_compiler_it_is_refused_before_training(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"Compile layers cannot run in this image\n  expected  a C\+\+ compiler"):
        compiling.compile_layers(torch.nn.Module(), measuring.CPU)


def test_cuda_needs_triton_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"triton, which torch.compile needs on NVIDIA A10G"):
        compiling.compile_layers(torch.nn.Module(), Device(torch.device("cpu"), "NVIDIA A10G", (8, 6)))
