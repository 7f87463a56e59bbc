"""An adapter that its base could not load, or that would answer nonsense, is refused."""

import json
import re
import struct
from pathlib import Path

import pytest

from steps.governance.errors import IntegrityError
from steps.register.package.adapter_files import check_adapter
from tests.steps.register.support import archives, base_models

A, B = archives.LORA.format("A"), archives.LORA.format("B")
NAN, INF = float("nan"), float("inf")
Tensor = tuple[str, list[int], bytes]
FORMATS = {"F32": "<f", "F16": "<e"}
BF16 = {NAN: b"\xc0\x7f", -NAN: b"\xc0\xff", INF: b"\x80\x7f", 1024.0: b"\x80\x44"}


def matrix(shape: list[int], last: float = 0.5, dtype: str = "F32") -> Tensor:
    """A matrix of zeros whose last value is `last`."""
    form = FORMATS.get(dtype)
    value = struct.pack(form, last) if form else BF16[last]
    return dtype, shape, bytes(len(value) * (shape[0] * shape[1] - 1)) + value


def weights(**changed: Tensor | None) -> dict[str, bytes]:
    """adapter_model.safetensors of the good adapter, with a matrix changed or left out."""
    tensors = {"a": matrix([4, 8]), "b": matrix([8, 4])} | changed
    names = {"a": A, "b": B}
    kept = {names.get(key, key): tensor for key, tensor in tensors.items() if tensor is not None}
    return {"adapter_model.safetensors": archives.safetensors(kept)}


def configuration(**changed: object) -> dict[str, bytes]:
    return {"adapter_config.json": archives.configuration(**changed)}


def other(layer: str) -> str:
    return f"base_model.model.model.language_model.layers.{layer}.lora_A.weight"


REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "NaN": (weights(b=matrix([8, 4], NAN)), f"finite numbers got NaN in {B}"),
    "infinity": (weights(a=matrix([4, 8], INF)), f"finite numbers got infinity in {A}"),
    "minus infinity": (weights(a=matrix([4, 8], -INF)), "got infinity in"),
    "NaN in float16": (weights(a=matrix([4, 8], NAN, "F16")), "got NaN in"),
    "infinity in float16": (weights(a=matrix([4, 8], INF, "F16")), "got infinity in"),
    "NaN in bfloat16": (weights(a=matrix([4, 8], NAN, "BF16")), "got NaN in"),
    "infinity in bfloat16": (weights(a=matrix([4, 8], INF, "BF16")), "got infinity in"),
    "a huge value": (weights(a=matrix([4, 8], -1001.0)), "numbers of at most 1000"),
    "a huge float16": (weights(a=matrix([4, 8], 1001.0, "F16")), "numbers of at most 1000"),
    "a huge bfloat16": (weights(a=matrix([4, 8], 1024.0, "BF16")), "numbers of at most 1000"),
    "another rank than the configuration's": (
        configuration(r=8, lora_alpha=16),
        r"lora_A of .*q_proj: \[8, 8\] got \[4, 8\]",
    ),
    "another rank in B only": (weights(b=matrix([8, 2])), r"lora_B of .*: \[8, 4\] got \[8, 2\]"),
    "another base's width": (weights(a=matrix([4, 16])), r"lora_A of .*: \[4, 8\] got \[4, 16\]"),
    "A without B": (weights(b=None), "lora_A and lora_B of .*q_proj got lora_A only"),
    "B without A": (weights(a=None), "lora_A and lora_B of .*q_proj got lora_B only"),
    "a layer that the base lacks": (
        weights(**{other("1.self_attn.q_proj"): matrix([4, 8])}),
        "linears of the base model only got model.language_model.layers.1",
    ),
    "a linear that the configuration does not name": (
        weights(**{other("0.self_attn.k_proj"): matrix([4, 8])}),
        "linears that adapter_config.json names",
    ),
    "a named linear without matrices": (
        configuration(target_modules=r".*language_model.*\.(q|k)_proj"),
        "all 2 linears .*1 missing, first .*k_proj",
    ),
    "a huge alpha": (configuration(lora_alpha=1e30), "at most 16 got lora_alpha 1e"),
    "alpha over the bound": (configuration(lora_alpha=65), "at most 16 got lora_alpha 65, r 4"),
    "a negative alpha": (configuration(lora_alpha=-8), "above 0 and at most 16"),
    "an alpha of zero": (configuration(lora_alpha=0), "above 0 and at most 16"),
    "an alpha that is NaN": (configuration(lora_alpha=NAN), "a number as lora_alpha got nan"),
    "an alpha of another type": (configuration(lora_alpha="8"), "a number as lora_alpha"),
    "a rank of zero": (configuration(r=0), "r from 1 to 1024 got 0"),
    "a rank of another type": (configuration(r=True), "r from 1 to 1024 got True"),
    "another kind of adapter": (configuration(peft_type="IA3"), "peft_type LORA got 'IA3'"),
    "DoRA": (configuration(use_dora=True), "plain LoRA: .* got use_dora"),
    "ranks by layer": (configuration(rank_pattern={"q_proj": 8}), "got rank_pattern"),
    "a bias": (configuration(bias="all"), "bias none got 'all'"),
    "a base changed by its initialization": (
        configuration(init_lora_weights="pissa"),
        "init_lora_weights true got 'pissa'",
    ),
    "names that the vision tower has too": (
        configuration(target_modules=["q_proj"]),
        "target_modules .*language_model",
    ),
    "a pattern that takes forever": (
        configuration(target_modules=r"(.*)*\.q_proj"),
        "target_modules .*language_model",
    ),
    "a linear of another model": (
        configuration(target_modules=r".*language_model.*\.(q|c)_proj"),
        "target_modules .*language_model",
    ),
    "a tokenizer that is not the base's": (
        {"tokenizer.json": archives.base_files()["tokenizer.json"] + b" "},
        "tokenizer.json was refused expected the base model's, sha256 [0-9a-f]{64} got",
    ),
    "a chat template that is not the base's": (
        {"chat_template.jinja": b"{{ evil }}"},
        "chat_template.jinja was refused expected the base model's, sha256",
    ),
    "a tokenizer file that the base lacks": (
        {"special_tokens_map.json": b"{}"},
        "special_tokens_map.json was refused expected no such file",
    ),
}


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def check(files: dict[str, bytes], folder: Path, base: dict[str, bytes] | None = None) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    read = base_models.read(base or archives.base_files())
    check_adapter(folder, archives.entries(files), read)


@pytest.mark.parametrize("bad", REFUSED, ids=list(REFUSED))
def test_a_bad_adapter_is_refused_with_its_reason(bad: str, tmp_path: Path) -> None:
    changed, reason = REFUSED[bad]
    with pytest.raises(IntegrityError, match="was refused") as refusal:
        check(archives.adapter_files() | changed, tmp_path)
    assert re.search(reason, one_line(refusal.value))


@pytest.mark.parametrize("dtype", ["F32", "F16"])
@pytest.mark.parametrize("value", [0.0, -0.0, 1000.0, -1000.0, 6e-8])
def test_a_good_adapter_is_accepted(dtype: str, value: float, tmp_path: Path) -> None:
    changed = weights(a=matrix([4, 8], value, dtype), b=matrix([8, 4], value, dtype))
    check(archives.adapter_files() | changed | configuration(lora_alpha=64), tmp_path)


def tokenizer(vocab: object, **more: object) -> bytes:
    return json.dumps({"model": {"type": "BPE", "vocab": vocab, "merges": []}} | more).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{}", "a model with a vocabulary got NoneType"),
        (tokenizer({}), "a vocabulary got no token"),
        (tokenizer({"a": 8}), "ids from 0 to 7, the base"),
        (tokenizer({"a": "1"}), "whole numbers"),
        (tokenizer({"a": 0}, added_tokens=[{"id": 9}]), "got ids from 0 to 9"),
        (tokenizer({"a": 0}, added_tokens=[7]), "whole numbers"),
    ],
)
def test_a_tokenizer_that_the_base_cannot_use_is_refused_even_if_it_is_the_bases_own(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    same = {"tokenizer.json": content}
    with pytest.raises(IntegrityError, match=r"tokenizer\.json was refused") as refusal:
        check(archives.adapter_files() | same, tmp_path, archives.base_files() | same)
    assert re.search(reason, one_line(refusal.value))
