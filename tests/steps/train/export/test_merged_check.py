"""The check of a merged model: its logits are the tuned model's, and damage is caught."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from steps.governance.errors import IntegrityError
from steps.train.export import merged_model, safetensors_writer
from steps.train.model import base_weights, logit_probe, lora, ministral
from steps.train.stopping import StopSignal
from tests.steps.train.support.adapted_model import DOCUMENTS, adapt, read

pytestmark = pytest.mark.torch


def test_stock_transformers_computes_the_tuned_models_logits_from_the_export(
    tuned: SimpleNamespace, export: Path
) -> None:
    comparison = logit_probe.check(export, tuned.probe)
    assert comparison.difference < 0.02 < 0.2 < comparison.difference_from_base
    assert (comparison.documents, comparison.positions) == (4, 4 * 32)


def tampered(export: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    (path,) = export.glob("*.safetensors")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


NAME = "language_model.model.layers.0.self_attn.v_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors[NAME].mul_(-1), "does not answer as the tuned one"),
        (lambda tensors: tensors[NAME].fill_(float("nan")), "does not answer as the tuned one"),
        (lambda tensors: tensors.update({NAME: tensors[NAME][:16].clone()}), "cannot be read"),
    ],
)
def test_a_tampered_shard_is_caught(
    tuned: SimpleNamespace,
    export: Path,
    change: Callable[[dict[str, Tensor]], object],
    message: str,
) -> None:
    tampered(export, change)
    with pytest.raises(IntegrityError, match=message):
        logit_probe.check(export, tuned.probe)


@pytest.mark.parametrize("name", [NAME, "vision_tower.patch_conv.weight"])
def test_a_weight_that_is_missing_is_caught(
    tuned: SimpleNamespace, export: Path, name: str
) -> None:
    tampered(export, lambda tensors: tensors.pop(name))
    index = json.loads((export / safetensors_writer.INDEX).read_bytes())
    del index["weight_map"][name]
    (export / safetensors_writer.INDEX).write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match="is not whole"):
        logit_probe.check(export, tuned.probe)


def test_a_damaged_file_is_caught(tuned: SimpleNamespace, export: Path) -> None:
    (path,) = export.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="cannot be read"):
        logit_probe.check(export, tuned.probe)


def exported_with(base: Path, folder: Path, size: float) -> Path:
    """An export with adapters of this size."""
    for name in ("adapters", "merged"):
        (folder / name).mkdir(parents=True)
    lora.save_adapters(adapt(base, size), folder / "adapters")
    merged_model.write(base, folder / "adapters", folder / "merged", stop=StopSignal())
    return folder / "merged"


def test_lost_adapters_are_caught_even_if_their_effect_is_below_rounding(
    tiny_model: Path, tmp_path: Path
) -> None:
    probe = logit_probe.record(adapt(tiny_model, 0.001), DOCUMENTS)
    comparison = logit_probe.check(exported_with(tiny_model, tmp_path / "with", 0.001), probe)
    assert (probe.tuned - probe.base).norm() / probe.tuned.norm() < comparison.difference
    with pytest.raises(IntegrityError, match="nearer to them than to the base's"):
        logit_probe.check(exported_with(tiny_model, tmp_path / "without", 0.0), probe)


def test_adapters_far_below_rounding_pass_the_check(tuned: SimpleNamespace, export: Path) -> None:
    exports = logit_probe._logits(logit_probe._load(export), tuned.probe.documents)
    nearer = tuned.probe.tuned + 0.01 * (exports - tuned.probe.tuned)
    comparison = logit_probe.check(
        export, logit_probe.Probe(tuned.probe.documents, tuned.probe.tuned, nearer)
    )
    assert comparison.difference_from_base < comparison.difference


def test_adapters_that_change_nothing_export_the_base_bit_for_bit(
    tiny_model: Path, tmp_path: Path
) -> None:
    probe = logit_probe.record(adapt(tiny_model, 0.0), DOCUMENTS)
    folder = exported_with(tiny_model, tmp_path, 0.0)
    exported, names = read(folder), set()
    for weight in base_weights.read(tiny_model, torch.device("cpu"), vision=True):
        value = weight.tensor.to(torch.bfloat16)
        if weight.scale is not None:
            value = (weight.tensor.float() * weight.scale.float()).to(torch.bfloat16)
        assert torch.equal(exported[weight.stored_as], value), weight.stored_as
        names.add(weight.stored_as)
    assert exported.keys() == names
    logit_probe.check(folder, probe)


def test_native_multiplication_is_off_while_the_tuned_models_logits_are_recorded(
    tuned: SimpleNamespace,
) -> None:
    linears = [
        module for module in tuned.model.modules() if isinstance(module, ministral.Fp8Linear)
    ]
    for linear in linears:
        linear.native = True
    try:
        again = logit_probe.record(tuned.model, DOCUMENTS)
        assert all(linear.native for linear in linears)
    finally:
        for linear in linears:
            linear.native = False
    assert torch.equal(again.tuned, tuned.probe.tuned)
