"""Before the manifest, the final files are loaded into the model and answer as it did."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

from steps.governance.documents.manifest import Trained
from steps.governance.errors import IntegrityError
from steps.train.data.chat_template import Chat
from steps.train.export import final_answer, model_folder
from steps.train.fine_tuning import sample
from steps.train.fine_tuning.task import Tuned
from steps.train.model import lora, precision
from tests.steps.train.support import adapted_model
from tests.steps.train.support.jobs import TRAINED, assert_nothing_published, job, run

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def measured(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A tuned model with its answer, and the folder with its files."""
    model = adapted_model.adapt(tiny_model)
    folder = tmp_path_factory.mktemp("final")
    lora.save_adapters(model, folder)
    model_folder.copy_tokenizer(tiny_model, folder)
    decided = precision.decide("storage", adapted_model.CPU)
    asked = sample.sample(model, Chat(tiny_model), adapted_model.DOCUMENTS[0], decided)
    return SimpleNamespace(model=model, asked=asked), folder


@pytest.fixture
def tuned(measured: tuple[Any, Path]) -> Tuned:
    return cast("Tuned", measured[0])


@pytest.fixture
def folder(measured: tuple[Any, Path], tmp_path: Path) -> Path:
    """A copy of the final files, which a test may change."""
    for path in measured[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_the_files_give_the_answer_again_and_the_model_its_weights(
    tuned: Tuned, folder: Path
) -> None:
    answer = final_answer.reproduce(tuned, folder)
    text = tuned.asked.sample.tuned
    assert answer.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert answer.same_tokens
    assert answer.tokens == len(tuned.asked.tuned_ids) > 0
    saved = load_file(folder / lora.ADAPTERS)
    loaded = dict(tuned.model.named_parameters())
    for name, tensor in saved.items():
        assert torch.equal(loaded[name.replace(".weight", ".default.weight")], tensor)


def change(edit: Callable[[dict[str, torch.Tensor]], None], folder: Path) -> None:
    tensors = load_file(folder / lora.ADAPTERS)
    edit(tensors)
    save_file(tensors, folder / lora.ADAPTERS)


def no_number(tensors: dict[str, torch.Tensor]) -> None:
    tensors[sorted(name for name in tensors if "lora_B" in name)[-1]][0] = float("nan")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (no_number, "logits that are not finite"),
        (lambda tensors: [tensor.mul_(-40) for tensor in tensors.values()], "do not answer as"),
        (lambda tensors: tensors.pop(next(iter(tensors))), "are of another model"),
    ],
)
def test_other_weights_are_refused(
    edit: Callable[[dict[str, torch.Tensor]], None], reason: str, tuned: Tuned, folder: Path
) -> None:
    change(edit, folder)
    with pytest.raises(IntegrityError, match=reason):
        final_answer.reproduce(tuned, folder)


@pytest.mark.parametrize(("name", "value"), [("lora_alpha", 80), ("r", 8), ("use_rslora", True)])
def test_another_configuration_is_refused(
    name: str, value: object, tuned: Tuned, folder: Path
) -> None:
    path = folder / lora.CONFIGURATION
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {name: value}))
    with pytest.raises(IntegrityError, match=f"does not describe the tuned model\n.*{name}"):
        final_answer.reproduce(tuned, folder)


def test_a_loaded_model_keeps_nothing_of_the_trained_one(
    tuned: Tuned, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "load_adapters", lambda model, folder: None)
    with pytest.raises(IntegrityError, match="logits that are not finite"):
        final_answer.reproduce(tuned, folder)


def test_a_tie_that_falls_the_other_way_is_recorded_and_not_refused(
    tuned: Tuned, folder: Path
) -> None:
    lora.load_adapters(tuned.model, folder)
    again = tuned.asked.question.generate(tuned.model)
    logits = again.logits.clone()
    other = (again.ids[1] + 1) % logits.shape[1]
    logits[1, other] = logits[1, again.ids[1]] - 0.125
    flipped = (again.ids[0], other, 2)
    before = SimpleNamespace(asked=replace(tuned.asked, tuned_ids=flipped))
    near = final_answer._accepted(cast("Tuned", before), replace(again, logits=logits), folder)
    assert not near.same_tokens
    logits[1, other] -= 0.25
    with pytest.raises(IntegrityError, match="do not answer as the tuned model did"):
        final_answer._accepted(cast("Tuned", before), replace(again, logits=logits), folder)


def test_the_manifest_has_the_answer_of_the_final_files(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    done = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    run(done)
    answer = Trained.from_bytes(done.evidence.documents[TRAINED], origin="evidence").answer
    report = json.loads((done.paths.model / "report.json").read_text())
    assert answer is not None
    assert answer.example_id == report["sample"]["example_id"]
    assert answer.sha256 == hashlib.sha256(report["sample"]["tuned"].encode()).hexdigest()


def test_a_job_whose_files_do_not_answer_publishes_nothing(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = lora.save_adapters

    def spoilt(model: Any, folder: Path) -> None:
        save(model, folder)
        if ".model-" in folder.name:
            change(no_number, folder)

    monkeypatch.setattr(lora, "save_adapters", spoilt)
    failing = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    with pytest.raises(IntegrityError, match="logits that are not finite"):
        run(failing)
    assert_nothing_published(failing)
