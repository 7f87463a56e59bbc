"""A tiny Ministral-3 for these tests, made by the module that makes the embedded environment's."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.local.setup import tiny_model as tiny_model_module
from pipeline.local.setup import tiny_tokenizer
from steps.train import before_torch
from tests.steps.train.support.curated_table import ARN, commit

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def keep_packages_importable() -> Iterator[None]:
    """Train hides packages from its process; other tests in this process need them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(before_torch, "_UNUSED", ())
        yield


@pytest.fixture(scope="session")
def make_tiny_model() -> ModuleType:
    """The module that makes the embedded environment's base model."""
    return tiny_model_module


@pytest.fixture(scope="session")
def tiny_model(make_tiny_model: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny model. Do not write to it."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    folder.mkdir()
    make_tiny_model.write(
        folder, text=tiny_tokenizer.built_in_text(), seed=17, name="tiny-ministral-3"
    )
    return folder


@pytest.fixture(scope="session")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Delta table with one execution's examples. Do not write to it."""
    folder = tmp_path_factory.mktemp("table") / "curated"
    commit(folder, ARN)
    return folder


@pytest.fixture
def own_tiny_model(tiny_model: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))
