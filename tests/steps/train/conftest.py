"""A tiny Ministral-3 for these tests, made by the script that makes the embedded environment's."""

import importlib.machinery
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from steps.train import before_torch
from tests.steps.train.support.curated_table import ARN, commit

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SCRIPT = Path(__file__).parents[3] / "scripts" / "make-tiny-model"


@pytest.fixture(scope="session", autouse=True)
def leave_other_tests_their_packages() -> Iterator[None]:
    """Train hides packages from its own process; this process is everybody's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(before_torch, "_UNUSED", ())
        yield


@pytest.fixture(scope="session")
def make_tiny_model() -> ModuleType:
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("make_tiny_model", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = dont_write
    return module


@pytest.fixture(scope="session")
def tiny_model(make_tiny_model: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model; do not write to it."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    folder.mkdir()
    make_tiny_model.write(
        folder, text=make_tiny_model.built_in_text(), seed=17, name="tiny-ministral-3"
    )
    return folder


@pytest.fixture(scope="session")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Delta table with one execution's examples; do not write to it."""
    folder = tmp_path_factory.mktemp("table") / "curated"
    commit(folder, ARN)
    return folder


@pytest.fixture
def own_tiny_model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))
