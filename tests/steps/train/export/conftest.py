"""A tuned model and its merged export."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from steps.train.stopping import StopSignal


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a tuned model, its saved adapters, and its logits on some documents."""
    from steps.train.model import logit_probe, lora
    from tests.steps.train.support.adapted_model import DOCUMENTS, adapt

    folder = tmp_path_factory.mktemp("adapters")
    adapted = adapt(tiny_model)
    lora.save_adapters(adapted, folder)
    probe = logit_probe.record(adapted, DOCUMENTS)
    return SimpleNamespace(base=tiny_model, adapters=folder, model=adapted, probe=probe)


@pytest.fixture
def export(tuned: SimpleNamespace, tmp_path: Path) -> Path:
    """Return the folder of the tuned model's export."""
    from steps.train.export import merged_model

    merged_model.write(tuned.base, tuned.adapters, tmp_path, stop=StopSignal())
    return tmp_path
