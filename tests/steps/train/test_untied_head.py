"""A base model with a separate head (8B, 14B) loads, trains and merges like a tied one."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.local.setup import tiny_configuration, tiny_tokenizer
from steps.governance.documents.manifest import Trained
from steps.governance.errors import IntegrityError
from steps.train.export import merged_model
from steps.train.model import lora, ministral, precision
from steps.train.stopping import StopSignal
from tests.steps.train.support.adapted_model import CPU, adapt, read
from tests.steps.train.support.jobs import TRAINED, job, run

pytestmark = pytest.mark.torch
HEAD = "language_model.lm_head.weight"


@pytest.fixture(scope="module")
def untied(make_tiny_model: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model whose head is not its embedding."""
    folder = tmp_path_factory.mktemp("untied") / "model"
    folder.mkdir()
    shape = tiny_configuration.SHAPES["tiny-untied"]
    text = tiny_tokenizer.built_in_text()
    make_tiny_model.write(folder, text=text, seed=17, name="tiny-untied", shape=shape)
    return folder


def load(folder: Path, mode: str = "storage") -> Any:
    return ministral.load(folder, precision.decide(mode, CPU))


@pytest.mark.parametrize("mode", ["storage", "off"])
def test_the_head_is_the_stored_one(untied: Path, mode: str) -> None:
    base, stored = load(untied, mode), load_file(untied / "model.safetensors")
    assert torch.equal(base.lm_head.weight, stored[HEAD].float())
    assert base.lm_head.weight is not base.get_input_embeddings().weight
    assert not base.lm_head.weight.requires_grad


def test_logits_are_those_of_stock_transformers(untied: Path) -> None:
    from transformers import Mistral3ForConditionalGeneration

    stock = Mistral3ForConditionalGeneration.from_pretrained(untied)
    ids = torch.tensor([[1, 3, 30, 31, 32, 4]])
    with torch.no_grad():
        theirs, ours = (model(input_ids=ids).logits.float() for model in (stock, load(untied)))
    assert (ours - theirs).norm() / theirs.norm() < 0.02  # theirs are rounded to bfloat16


def test_the_file_decides_where_config_json_states_two_things(untied: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in untied.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    configuration = json.loads((folder / "config.json").read_text())
    configuration.pop("tie_word_embeddings")  # transformers' default is then True
    (folder / "config.json").write_text(json.dumps(configuration))
    assert torch.equal(load(folder).lm_head.weight, load(untied).lm_head.weight)


def test_a_lost_head_is_refused(untied: Path, tmp_path: Path) -> None:
    tensors = load_file(untied / "model.safetensors")
    del tensors[HEAD]
    (tmp_path / "config.json").write_bytes((untied / "config.json").read_bytes())
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(IntegrityError, match=r"lacks weights\n.*\n.*lm_head\.weight"):
        load(tmp_path)


def test_a_whole_job_trains_and_exports_it(untied: Path, curated: Path, tmp_path: Path) -> None:
    done = job(tmp_path / "ml", untied, curated, merged_export="bfloat16", max_steps="3")
    run(done)  # it compares the merged model's logits, loaded by stock transformers
    trained = Trained.from_bytes(done.evidence.documents[TRAINED], origin="evidence")
    assert trained.metrics.eval_loss < trained.metrics.eval_loss_before
    adapters = load_file(done.paths.model / lora.ADAPTERS)
    assert adapters
    assert not [name for name in adapters if "lm_head" in name]


def test_the_merged_head_is_the_base_models(untied: Path, tmp_path: Path) -> None:
    adapted, (adapters, merged) = adapt(untied), (tmp_path / "adapters", tmp_path / "merged")
    merged.mkdir()
    lora.save_adapters(adapted, adapters)
    merged_model.write(untied, adapters, merged, stop=StopSignal())
    assert torch.equal(read(merged)[HEAD], load_file(untied / "model.safetensors")[HEAD])
    assert json.loads((merged / "config.json").read_text())["tie_word_embeddings"] is False
