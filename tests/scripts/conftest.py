"""The tiny Ministral-3 that the training bench's cases run on in these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local.setup import tiny_model as make
from pipeline.local.setup import tiny_tokenizer
from steps.train import before_torch


@pytest.fixture(scope="session", autouse=True)
def keep_packages_importable() -> Iterator[None]:
    """Keep Train from hiding packages in this process, which other tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(before_torch, "_UNUSED", ())
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model; do not write to it."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    folder.mkdir()
    make.write(folder, text=tiny_tokenizer.built_in_text(), seed=17, name="tiny-ministral-3")
    return folder
