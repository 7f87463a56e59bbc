"""Compiled decoder layers compute what eager layers compute."""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from steps.governance.errors import UsageError
from steps.train.data.chat_template import Chat
from steps.train.data.document import Document
from steps.train.fine_tuning import sample
from steps.train.model import compiling, recomputation
from steps.train.planning.devices import Device
from tests.steps.train.support import allocator_count

pytestmark = [
    pytest.mark.torch,
    # These warnings come from torch: from its imports, and from dynamo while it traces.
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings(
        "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning"),
]
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None,
    reason="torch.compile needs a C++ compiler",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    # With more threads, a pool of processes would outlive the test.
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch.compile trace graphs and gradients but run eager kernels: this takes seconds."""
    compile_module = nn.Module.compile
    monkeypatch.setattr(
        nn.Module,
        "compile",
        lambda self, **kwargs: compile_module(self, backend="aot_eager", **kwargs),
    )


@dataclass(frozen=True)
class Way:
    """How the tiny model is trained."""

    mode: str = "storage"
    recomputed: int = 0
    # Rows with different numbers of documents and of tokens.
    rows: tuple[tuple[int, ...], ...] = ((50, 70), (30, 40, 50, 9))


def trained(folder: Path, way: Way, *, compiled: bool) -> list[tuple[float, dict[str, Tensor]]]:
    """Return loss and gradients of each row."""
    adapted = allocator_count.adapted(folder, 4, allocator_count.precision(way.mode))
    recomputation.apply(adapted, way.recomputed)
    if compiled:
        compiling.compile_layers(adapted, allocator_count.CPU)
    results = []
    for lengths in way.rows:
        adapted.zero_grad()
        loss = adapted(**allocator_count.row(*lengths)).loss
        loss.backward()
        gradients = {name: p.grad for name, p in adapted.named_parameters() if p.grad is not None}
        results.append((loss.item(), gradients))
    return results


def assert_compiled_equals_eager(folder: Path, way: Way) -> None:
    eager, compiled = (trained(folder, way, compiled=c) for c in (False, True))
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    for (loss, gradients), (other_loss, other) in zip(eager, compiled, strict=True):
        assert other_loss == pytest.approx(loss, rel=1e-5)
        assert gradients.keys() == other.keys()
        for name, gradient in gradients.items():
            assert (other[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


@needs_compiler
@pytest.mark.parametrize(
    "way",
    [
        Way(),
        # Both of its parts occur in the other two ways.
        pytest.param(Way(recomputed=1), marks=pytest.mark.long),
        Way("native_dx", 2),
    ],
    ids=str,
)
def test_traced_layers_compute_the_eager_loss_and_gradients(
    tiny_model: Path, way: Way, traced_only: None
) -> None:
    assert_compiled_equals_eager(tiny_model, way)


@needs_compiler
def test_compiled_code_computes_the_eager_loss_and_gradients(
    make_tiny_model: ModuleType, tmp_path: Path
) -> None:
    folder = allocator_count.model_of(make_tiny_model, tmp_path / "model", layers=1)
    assert_compiled_equals_eager(folder, Way(rows=((50, 70),)))


def test_answers_are_generated_without_compiling(tiny_model: Path) -> None:
    adapted = allocator_count.adapted(tiny_model, 4, allocator_count.precision())
    compiling.compile_layers(adapted, allocator_count.CPU)
    document = Document((1, 3, 30, 31, 4, 32, 2), 5)
    sample.sample(adapted, Chat(tiny_model), document, allocator_count.precision())
    assert not torch._dynamo.utils.counters["frames"]


def test_compile_is_refused_without_a_compiler(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    with pytest.raises(
        UsageError, match=r"Compile layers cannot run in this image\n  expected  a C\+\+ compiler"
    ):
        compiling.compile_layers(torch.nn.Module(), allocator_count.CPU)


def test_cuda_needs_triton_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"triton, which torch.compile needs on NVIDIA A10G"):
        compiling.compile_layers(
            torch.nn.Module(), Device(torch.device("cpu"), "NVIDIA A10G", (8, 6))
        )
