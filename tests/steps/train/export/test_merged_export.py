"""The merged model: each weight is W + alpha / r * B @ A, rounded once, in files like the hub's."""

import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Mistral3ForConditionalGeneration

from steps.governance.errors import IntegrityError
from steps.train.export import merged_model, safetensors_writer
from steps.train.model import base_weights, logit_probe, lora
from steps.train.stopping import StopSignal
from tests.steps.train.support.adapted_model import read

pytestmark = pytest.mark.torch


def test_each_merged_weight_is_the_decoded_weight_plus_pefts_product_rounded_once(
    tuned: SimpleNamespace, export: Path
) -> None:
    written, base = read(export), load_file(tuned.base / "model.safetensors")
    compared = 0
    for name, module in tuned.model.named_modules():
        if hasattr(module, "get_delta_weight"):
            disk_name = (
                name.replace("base_model.model.model.language_model.", "language_model.model.")
                + ".weight"
            )
            whole = base[disk_name].float() * base[f"{disk_name}_scale_inv"].float()
            expected = (whole + module.get_delta_weight("default")).to(torch.bfloat16)
            assert torch.equal(written[disk_name], expected)
            assert not torch.equal(written[disk_name], whole.to(torch.bfloat16)), (
                "the adapter changes something"
            )
            compared += 1
    assert compared == 7 * tuned.model.config.text_config.num_hidden_layers


def test_all_other_weights_are_the_bases_byte_for_byte(
    tuned: SimpleNamespace, export: Path
) -> None:
    written, base = read(export), load_file(tuned.base / "model.safetensors")
    kept = {
        name
        for name, tensor in base.items()
        if tensor.dtype is torch.bfloat16 and "_scale" not in name
    }
    assert [name for name in kept if name.startswith("vision_tower.")]
    assert all(torch.equal(written[name], base[name]) for name in kept)
    assert set(written) == {name for name in base if "_scale" not in name}
    assert {tensor.dtype for tensor in written.values()} == {torch.bfloat16}


def test_configuration_and_tokenizer_are_the_bases_without_quantization(
    tuned: SimpleNamespace, export: Path
) -> None:
    theirs, ours = (
        json.loads((folder / "config.json").read_bytes()) for folder in (tuned.base, export)
    )
    assert theirs.pop("quantization_config")
    assert ours == theirs
    assert ours["dtype"] == "bfloat16"
    for name in (
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
    ):
        assert (export / name).read_bytes() == (tuned.base / name).read_bytes()


def test_transformers_own_save_of_a_loaded_fp8_model_writes_noise(
    tiny_model: Path, tmp_path: Path
) -> None:
    """It writes matrices as e4m3 with a configuration without quantization.

    When this test fails, transformers was repaired.
    """
    ids = torch.tensor([[1, 3, 30, 31, 32, 4]])
    loaded = Mistral3ForConditionalGeneration.from_pretrained(tiny_model, dtype=torch.bfloat16)
    loaded.save_pretrained(tmp_path)
    assert torch.float8_e4m3fn in {tensor.dtype for tensor in read(tmp_path).values()}
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_bytes())
    again = Mistral3ForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.bfloat16)
    with torch.no_grad():
        before, after = (each(input_ids=ids).logits.float() for each in (loaded, again))
    assert (after - before).norm() / before.norm() > 0.5


def test_an_adapter_of_no_weight_is_refused(tuned: SimpleNamespace, tmp_path: Path) -> None:
    strange = Path(shutil.copytree(tuned.adapters, tmp_path / "strange"))
    tensors = load_file(strange / lora.ADAPTERS)
    for kind in ("lora_A", "lora_B"):
        tensors[f"base_model.model.model.language_model.layers.99.mlp.up_proj.{kind}.weight"] = (
            torch.zeros(4, 4)
        )
    save_file(tensors, strange / lora.ADAPTERS)
    (tmp_path / "merged").mkdir()
    with pytest.raises(
        IntegrityError,
        match=r"belong to no weight of the base model\n.*\n.*layers\.99\.mlp\.up_proj",
    ):
        merged_model.write(tuned.base, strange, tmp_path / "merged", stop=StopSignal())


@pytest.mark.parametrize("change", ["half", "variant"])
def test_adapters_of_another_form_are_refused(
    tuned: SimpleNamespace, tmp_path: Path, change: str
) -> None:
    strange = Path(shutil.copytree(tuned.adapters, tmp_path / "strange"))
    if change == "half":
        tensors = load_file(strange / lora.ADAPTERS)
        del tensors[next(name for name in tensors if "lora_A" in name)]
        save_file(tensors, strange / lora.ADAPTERS)
    else:
        configuration = json.loads((strange / lora.CONFIGURATION).read_bytes()) | {
            "use_rslora": True
        }
        (strange / lora.CONFIGURATION).write_text(json.dumps(configuration))
    with (
        pytest.raises(IntegrityError, match="not pairs" if change == "half" else "plain LoRA"),
        lora.saved(strange),
    ):
        raise AssertionError("accepted")


def test_an_export_in_several_files_is_the_same_model(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safetensors_writer.plan, "__defaults__", (300_000,))
    merged_model.write(tuned.base, tuned.adapters, tmp_path, stop=StopSignal())
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) >= 3
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert logit_probe.check(tmp_path, tuned.probe).difference < 0.02
    for shard in safetensors_writer.plan(base_weights.shapes(tuned.base)):
        assert (tmp_path / shard.name).stat().st_size == shard.size
        with safe_open(tmp_path / shard.name, framework="pt") as opened:
            assert opened.metadata() == {"format": "pt"}, "transformers refuses a file without it"


def test_one_tensor_is_in_memory_at_a_time(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, alive, most = base_weights.read, weakref.WeakSet[Tensor](), 0

    def watched(*arguments: Any, **options: Any) -> Iterator[base_weights.Weight]:
        nonlocal most
        for weight in real(*arguments, **options):
            most = max(most, len(alive))
            alive.add(weight.tensor)
            yield weight
            del weight

    monkeypatch.setattr(base_weights, "read", watched)
    merged_model.write(tuned.base, tuned.adapters, tmp_path, stop=StopSignal())
    assert most <= 1, "the reader may still hold the tensor before, but no older one"
