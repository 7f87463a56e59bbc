"""Adapter files that are not LoRA weights, or that name code, are refused with a typed error."""

import json
from pathlib import Path

import pytest

from steps.governance.errors import IntegrityError
from steps.register.package.adapter_configuration import PlainLora
from steps.register.package.adapter_files import check_adapter
from steps.register.package.adapter_weights import check_weights
from tests.steps.register.support import archives, base_models

BASE = base_models.smallest()
PLAIN = PlainLora(4, 2.0, frozenset({"model.language_model.layers.0.self_attn.q_proj"}))
A, B = archives.LORA.format("A"), archives.LORA.format("B")


def raw(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start: int, end: int, shape: object = (2, 2), dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


BAD_WEIGHTS = {
    "empty file": b"",
    "a header longer than the file": (1 << 20).to_bytes(8, "little") + b"{}",
    "a header over the limit": (1 << 40).to_bytes(8, "little") + b"{}",
    "a good header made long": raw(
        json.dumps({A: entry(0, 128, (4, 8)), B: entry(128, 256, (8, 4))}).encode()
        + b" " * (4 << 20),
        bytes(256),
    ),
    "no JSON": raw(b"not json"),
    "a list": raw([]),
    "no tensors": raw({}),
    "deep JSON": raw(b"[" * 100_000),
    "a repeated name": raw(b'{"a": 1, "a": 2}'),
    "a foreign tensor": raw({"base_model.model.lm_head.weight": entry(0, 16)}, bytes(16)),
    "a name that climbs": raw({"base_model.model.../../x.lora_A.weight": entry(0, 16)}, bytes(16)),
    "a gap": raw({A: entry(0, 16), B: entry(20, 36)}, bytes(36)),
    "an overlap": raw({A: entry(0, 16), B: entry(8, 24)}, bytes(24)),
    "a tail": raw({A: entry(0, 16)}, bytes(20)),
    "too short": raw({A: entry(0, 16)}, bytes(12)),
    "a wrong size": raw({A: entry(0, 12)}, bytes(12)),
    "a negative offset": raw({A: entry(-16, 0)}),
    "offsets that are not numbers": raw(
        {A: {"dtype": "F32", "shape": [2, 2], "data_offsets": ["0", "16"]}}, bytes(16)
    ),
    "a negative shape": raw({A: entry(0, 16, (-2, -2))}, bytes(16)),
    "a boolean shape": raw({A: entry(0, 4, (True, True))}, bytes(4)),
    "three dimensions": raw({A: entry(0, 16, (2, 2, 1))}, bytes(16)),
    "an empty matrix": raw({A: entry(0, 0, (0, 2))}),
    "a shape that overflows": raw({A: entry(0, 16, (2**62, 8))}, bytes(16)),
    "another type": raw({A: entry(0, 16, (2, 2), "I32")}, bytes(16)),
    "metadata of numbers": raw({"__metadata__": {"a": 1}, A: entry(0, 16)}, bytes(16)),
}


@pytest.mark.parametrize("bad", BAD_WEIGHTS, ids=list(BAD_WEIGHTS))
def test_weights_that_are_not_a_lora_adapter_are_refused(bad: str, tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(BAD_WEIGHTS[bad])
    with pytest.raises(IntegrityError, match=r"adapter_model\.safetensors was refused"):
        check_weights(path, PLAIN, BASE)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("adapter_config.json", b'{"peft_type": "IA3"}'),
        ("adapter_config.json", b'{"peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}'),
        (
            "adapter_config.json",
            b'{"peft_type": "LORA", "megatron_config": {"a": 1}, "megatron_core": "evil"}',
        ),
        ("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": "evil.py"}}'),
        ("report.json", b"not json"),
        ("report.json", b"[]"),
        ("adapter_config.json", b'{"peft_type": "LORA", "peft_type": "LORA"}'),
    ],
)
def test_configuration_that_names_code_is_refused(
    name: str, content: bytes, tmp_path: Path
) -> None:
    files = archives.adapter_files() | {name: content}
    for path, bytes_ in files.items():
        (tmp_path / path).write_bytes(bytes_)
    with pytest.raises(IntegrityError, match=f"{name} was refused"):
        check_adapter(tmp_path, archives.entries(files), BASE)
