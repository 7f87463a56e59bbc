"""A tiny FP8 Ministral with random weights, and a LoRA adapter on it that changes its answers."""

import json
import random
import struct
import subprocess
import sys
from pathlib import Path

from tests.steps.register.support import archives, register_environment

RANK = 4
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def base_model(folder: Path) -> dict[str, bytes]:
    """Write the base model into `folder`; return its files by name, without mirror.json."""
    command = [sys.executable, "-m", "pipeline.local.setup.tiny_model", "--output", str(folder)]
    subprocess.run(command, cwd=register_environment.REPOSITORY, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "mirror.json"}


def adapter(base: dict[str, bytes]) -> dict[str, bytes]:
    """A LoRA adapter on the query projections, large enough to change the answers."""
    chance, text = random.Random(1), json.loads(base["config.json"])["text_config"]  # noqa: S311
    width, attention = text["hidden_size"], text["num_attention_heads"] * text["head_dim"]

    def noise(rows: int, columns: int) -> tuple[str, list[int], bytes]:
        values = [chance.gauss(0, 1) for _ in range(rows * columns)]
        return "F32", [rows, columns], struct.pack(f"<{len(values)}f", *values)

    name = "base_model.model.model.language_model.layers.{}.self_attn.q_proj.lora_{}.weight"
    tensors = {}
    for layer in range(text["num_hidden_layers"]):
        tensors[name.format(layer, "A")] = noise(RANK, width)
        tensors[name.format(layer, "B")] = noise(attention, RANK)
    return archives.adapter_files() | {
        "adapter_model.safetensors": archives.safetensors(tensors),
        "adapter_config.json": archives.configuration(r=RANK, lora_alpha=2 * RANK),
        **{name: base[name] for name in TOKENIZER if name in base},
    }
