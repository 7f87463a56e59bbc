"""The FP8 base model: what is loaded, trained and saved; known failures of quantized LoRA."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.local.setup import tiny_tokenizer
from steps.governance.errors import IntegrityError, UsageError
from steps.train.data import packing
from steps.train.data.document import Document
from steps.train.model import fp8_linear, lora, ministral, precision
from steps.train.model.fp8_linear import Fp8Linear
from steps.train.planning.devices import Device
from tests.steps.train.support import allocator_count

pytestmark = pytest.mark.torch

CPU = Device(torch.device("cpu"), "cpu", None)
LAYER = "language_model.model.layers.0.mlp.up_proj"
RUNTIME = "model.language_model.layers.0.mlp.up_proj"


def load(folder: Path, mode: str = "storage") -> ministral.PackedMinistral:
    return ministral.load(folder, precision.decide(mode, CPU))


def batch() -> dict[str, torch.Tensor | int]:
    documents = [Document((1, *range(20, 20 + n), 2), n // 2) for n in (40, 70, 20)]
    return packing.collate([documents])


def test_the_released_bytes_are_kept_bit_for_bit(tiny_model: Path) -> None:
    base = load(tiny_model)
    compared = 0
    with safe_open(tiny_model / "model.safetensors", framework="pt") as on_disk:
        for name, module in base.named_modules():
            if isinstance(module, Fp8Linear):
                disk = name.replace("model.language_model.", "language_model.model.")
                assert torch.equal(
                    module.weight, on_disk.get_tensor(f"{disk}.weight").view(torch.uint8)
                )
                assert module.scale.item() == on_disk.get_tensor(f"{disk}.weight_scale_inv").item()
                compared += 1
    assert compared == 7 * base.config.text_config.num_hidden_layers


def test_fp8_linears_take_one_byte_a_weight(tiny_model: Path) -> None:
    linears = [m for m in load(tiny_model).modules() if isinstance(m, Fp8Linear)]
    held = sum(p.numel() * p.element_size() for m in linears for p in m.parameters())
    assert held <= 0.53 * sum(2 * m.weight.numel() for m in linears)


@pytest.mark.parametrize("mode", ["off", "storage", "native", "native_dx"])
def test_no_mode_saves_more_for_backward_than_off(tiny_model: Path, mode: str) -> None:
    off, ours = (
        allocator_count.saved_bytes(adapted, lambda adapted=adapted: adapted(**batch()))
        for adapted in (
            allocator_count.adapted(tiny_model, 4, allocator_count.precision(m, torch.float32))
            for m in ("off", mode)
        )
    )
    assert ours == off


def test_every_fp8_layer_has_the_effective_mode(tiny_model: Path) -> None:
    def flags(effective: str) -> set[tuple[bool, bool]]:
        base = ministral.load(tiny_model, allocator_count.precision(effective))
        return {(m.native, m.native_gradient) for m in base.modules() if isinstance(m, Fp8Linear)}

    assert [flags(m) for m in ("storage", "native", "native_dx")] == [
        {(False, False)},
        {(True, False)},
        {(True, True)},
    ]


def test_storage_equals_the_dequantized_model(tiny_model: Path) -> None:
    with torch.no_grad():
        losses = [load(tiny_model, mode)(**batch()).loss.item() for mode in ("storage", "off")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_stock_transformers_reads_the_same_model(tiny_model: Path) -> None:
    """The tiny checkpoint has Ministral's format: transformers' own loader finds every weight."""
    from transformers import Mistral3ForConditionalGeneration

    stock, info = Mistral3ForConditionalGeneration.from_pretrained(
        tiny_model, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not {key for key in info["unexpected_keys"] if "activation_scale" not in key}
    ids = torch.tensor([[1, 3, 30, 31, 32, 4]])
    with torch.no_grad():
        theirs = stock(input_ids=ids).logits.float()
        ours = load(tiny_model)(input_ids=ids).logits
    assert (ours - theirs).norm() / theirs.norm() < 0.02  # theirs are rounded to bfloat16


def test_the_vision_tower_is_not_loaded(tiny_model: Path) -> None:
    assert not [
        name
        for name, _ in load(tiny_model).named_parameters()
        if "vision" in name or "projector" in name
    ]


def test_rotary_frequencies_stay_float32(tiny_model: Path) -> None:
    base = load(tiny_model)
    assert base.model.language_model.rotary_emb.inv_freq.dtype is torch.float32
    assert not base.model.language_model.rotary_emb.inv_freq.is_meta


def test_lora_trains_every_adapter_in_float32_and_nothing_else(tiny_model: Path) -> None:
    adapted = lora.add_adapters(load(tiny_model), 4, base_model="tiny", revision="0" * 40)
    adapted.train()
    adapted(**batch()).loss.backward()
    trainable = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert len(trainable) == 2 * 7 * adapted.config.text_config.num_hidden_layers
    assert all("lora_" in name and "language_model" in name for name in trainable)
    assert all(p.dtype is torch.float32 and p.grad is not None for p in trainable.values())
    assert all(p.grad is None for p in adapted.parameters() if not p.requires_grad)


def test_a_list_of_names_would_match_the_vision_tower(tiny_model: Path) -> None:
    """TARGETS is a pattern because the tower's linears have the same names."""
    import re

    from transformers import Mistral3ForConditionalGeneration

    names = [
        n
        for n, m in Mistral3ForConditionalGeneration.from_pretrained(tiny_model).named_modules()
        if isinstance(m, nn.Linear)
    ]
    assert [n for n in names if "vision_tower" in n and n.endswith("q_proj")]
    assert not [n for n in names if "vision_tower" in n and re.fullmatch(lora.TARGETS, n)]


def test_saving_writes_adapters_only(tiny_model: Path, tmp_path: Path) -> None:
    """After a dequantizing load, transformers saves corrupt weights: it reverses a conversion.

    Our model keeps no such conversion, and saves adapters only.
    """
    base = load(tiny_model, "off")
    assert not getattr(base, "_weight_conversions", None)
    assert getattr(base.config, "quantization_config", None) is None
    lora.save_adapters(lora.add_adapters(base, 4, base_model="tiny", revision="0" * 40), tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert saved
    assert all("lora_" in name and tensor.dtype is torch.float32 for name, tensor in saved.items())


@pytest.mark.parametrize(
    ("name", "capability", "effective"),
    [
        ("cpu", None, "storage"),
        ("NVIDIA A10G", (8, 6), "storage"),
        ("NVIDIA L4", (8, 9), "native_dx"),
        ("NVIDIA L40S", (8, 9), "native_dx"),
        ("NVIDIA H100 80GB HBM3", (9, 0), "native_dx"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", (12, 0), "storage"),
        ("a card that nobody knows", (9, 0), "storage"),
    ],
)
def test_auto_is_native_only_where_it_is_predicted_to_be_faster(
    name: str, capability: tuple[int, int] | None, effective: str
) -> None:
    device = Device(torch.device("cpu"), name, capability)
    assert precision.decide("auto", device).effective == effective


def test_native_is_refused_without_fp8_tensor_cores() -> None:
    message = (
        r"Fp8Mode native cannot run on this device\n.*8\.9 to 10\.x.*\n  got       A10G, .*8\.6"
    )
    with pytest.raises(UsageError, match=message):
        precision.decide("native", Device(torch.device("cpu"), "A10G", (8, 6)))
    with pytest.raises(UsageError, match=r"cannot run on this device\n.*\n.*12\.0"):
        precision.decide("native", Device(torch.device("cpu"), "RTX PRO 6000", (12, 0)))


def test_requested_and_effective_mode_are_recorded(tiny_model: Path) -> None:
    record = precision.decide("auto", CPU).record()
    assert record.model_dump() == {
        "requested": "auto",
        "effective": "storage",
        "dtype": "float32",
        "device": "cpu",
        "choice": None,  # of `auto` on a GPU only
        "kernels": None,
    }


def rewrite(folder: Path, change: dict[str, torch.Tensor | None]) -> None:
    tensors = load_file(folder / "model.safetensors") | change
    save_file(
        {name: t for name, t in tensors.items() if t is not None}, folder / "model.safetensors"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({f"{LAYER}.weight_scale_inv": None}, "is inconsistent"),
        ({f"{LAYER}.weight_scale_inv": torch.ones(2, 2)}, "cannot be used"),
        ({f"{LAYER}.weight_scale_inv": torch.tensor(0.0)}, "cannot be used"),
        ({f"{LAYER}.weight": None}, "scales without weights"),
        ({f"{LAYER}.weight": None, f"{LAYER}.weight_scale_inv": None}, "lacks weights"),
        ({f"{LAYER}.weight": torch.ones(2, 2).to(fp8_linear.E4M3)}, "has another shape"),
        (
            {"language_model.model.other.weight": torch.ones(2)},
            "a weight that Ministral-3 does not",
        ),
    ],
)
def test_a_damaged_base_is_refused(
    own_tiny_model: Path, change: dict[str, torch.Tensor | None], message: str
) -> None:
    rewrite(own_tiny_model, change)
    with pytest.raises(IntegrityError, match=message):
        load(own_tiny_model)


@pytest.mark.parametrize(
    "declared",
    [
        None,
        {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    ],
)
def test_another_quantization_scheme_is_refused(
    own_tiny_model: Path, declared: dict[str, object] | None
) -> None:
    configuration = json.loads((own_tiny_model / "config.json").read_text()) | {
        "quantization_config": declared
    }
    (own_tiny_model / "config.json").write_text(json.dumps(configuration))
    with pytest.raises(IntegrityError, match="not quantized the way this trainer reads"):
        load(own_tiny_model)


def test_a_scale_may_be_in_another_file_than_its_weight(own_tiny_model: Path) -> None:
    tensors = load_file(own_tiny_model / "model.safetensors")
    scales = {name: tensors.pop(name) for name in list(tensors) if name.endswith("_scale_inv")}
    (own_tiny_model / "model.safetensors").unlink()
    shards = {
        "model-00001-of-00002.safetensors": tensors,
        "model-00002-of-00002.safetensors": scales,
    }
    for shard, content in shards.items():
        save_file(content, own_tiny_model / shard)
    weight_map = {name: shard for shard, content in shards.items() for name in content}
    (own_tiny_model / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": weight_map})
    )
    assert isinstance(load(own_tiny_model).get_submodule(RUNTIME), Fp8Linear)


def test_the_tiny_model_has_the_same_bytes_for_a_seed(
    make_tiny_model: ModuleType, tiny_model: Path, tmp_path: Path
) -> None:
    text = tiny_tokenizer.built_in_text()
    revisions = []
    for seed in (17, 18):
        (tmp_path / str(seed)).mkdir()
        revisions.append(
            make_tiny_model.write(
                tmp_path / str(seed), text=text, seed=seed, name="tiny-ministral-3"
            )
        )
    assert revisions[0] == json.loads((tiny_model / "mirror.json").read_text())["revision"]
    assert revisions[0] != revisions[1]
