"""The sizes of the stand-in models, and the `config.json` that declares them.

`tiny` is the embedded environment's base model, `tiny-untied` has a separate head, as Ministral's
8B and 14B have, and `small` and `ministral-3-3b` are what
`python -m scripts.training_bench` measures on. Only the sizes differ from the released
Ministral-3; the architecture, the FP8 scheme and every other setting are the same.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.local.setup.tiny_tokenizer import write_json


@dataclass(frozen=True)
class Shape:
    """The language model's sizes; YaRN extends a context of `rope_tokens` 16 times."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    rope_tokens: int = 4096
    tied: bool = True  # the head is the embedding


TINY = Shape(128, 384, 2, 4, 2, 32, 1024)
SHAPES = {
    "tiny": TINY,
    "tiny-untied": replace(TINY, tied=False),
    "small": Shape(256, 768, 4, 8, 2, 32, 8192),
    # Sizes from transformers' configuration_ministral3.py and arXiv 2601.08584.
    # The vision tower stays tiny in every shape.
    "ministral-3-3b": Shape(3072, 9216, 26, 32, 8, 128, 131072, rope_tokens=16384),
}
VISION_HIDDEN, VISION_FFN, VISION_LAYERS, PATCH = 32, 64, 1, 16
_YARN_FACTOR = 16
_SPECIAL_IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 11}


def write_configuration(folder: Path, shape: Shape) -> None:
    """Write config.json and generation_config.json, as on the hub except for the sizes."""
    configuration = {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "model_type": "mistral3",
        "dtype": "bfloat16",
        "image_token_index": 10,
        "spatial_merge_size": 2,
        "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -1,
        "tie_word_embeddings": shape.tied,
        "text_config": _text_configuration(shape),
        "vision_config": _vision_configuration(),
        "quantization_config": {
            "quant_method": "fp8",
            "activation_scheme": "static",
            "weight_block_size": None,
            "modules_to_not_convert": [
                "model.vision_tower",
                "model.multi_modal_projector",
                "lm_head",
            ],
        },
        "transformers_version": "5.23.0",
    }
    longest = {"max_length": _YARN_FACTOR * shape.rope_tokens}
    write_json(folder / "config.json", configuration)
    write_json(folder / "generation_config.json", _SPECIAL_IDS | longest)


def _text_configuration(shape: Shape) -> dict[str, Any]:
    """Return the language model's part of config.json."""
    rope = {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": float(_YARN_FACTOR),
        "original_max_position_embeddings": shape.rope_tokens,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "llama_4_scaling_beta": 0.1,
    }
    return {
        "model_type": "ministral3",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": _YARN_FACTOR * shape.rope_tokens,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "sliding_window": None,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": shape.tied,
        "rope_parameters": rope,
        **_SPECIAL_IDS,
    }


def _vision_configuration() -> dict[str, Any]:
    """Return the vision tower's part of config.json: one small layer that training never uses."""
    return {
        "model_type": "pixtral",
        "hidden_size": VISION_HIDDEN,
        "intermediate_size": VISION_FFN,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": 1,
        "head_dim": VISION_HIDDEN,
        "image_size": 64,
        "patch_size": PATCH,
        "num_channels": 3,
        "hidden_act": "silu",
        "rope_parameters": {"rope_type": "axial", "rope_theta": 10000.0},
    }
