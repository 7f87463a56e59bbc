"""The sizes of a decoder, from which memory and FLOPs follow.

Shape.of(model.config.text_config)      the shape of a loaded model
MINISTRAL_3B                            for tables, without a model
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """Sizes of a Ministral-3: layers of attention and a gated MLP, embedding and head.

    The 3B model has tied embeddings; the 8B and the 14B have a head of their own.
    """

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool = True  # embedding and head are one tensor

    @classmethod
    def of(cls, text_config: Any) -> "Shape":
        """Return the shape in transformers' configuration of the language model."""
        return cls(
            text_config.hidden_size,
            text_config.intermediate_size,
            text_config.num_hidden_layers,
            text_config.num_attention_heads,
            text_config.num_key_value_heads,
            text_config.head_dim,
            text_config.vocab_size,
            text_config.tie_word_embeddings,
        )

    @property
    def queries(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_width

    @property
    def keys(self) -> int:
        """Width of all key heads together. The value heads have the same width."""
        return self.kv_heads * self.head_width

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of one layer's linears: q, k, v, o, gate, up, down."""
        d, f, q, k = self.hidden, self.ffn, self.queries, self.keys
        return (d, q), (d, k), (d, k), (q, d), (d, f), (d, f), (f, d)

    @property
    def layer_weights(self) -> int:
        """Number of weights in one layer's linears."""
        return sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def embedding(self) -> int:
        """Number of weights in the embedding. The head has as many."""
        return self.vocabulary * self.hidden

    @property
    def ends(self) -> int:
        """Number of weights in embedding and head together."""
        return self.embedding if self.tied else 2 * self.embedding

    def adapter_weights(self, rank: int) -> int:
        """Return the number of weights in the LoRA adapters of one layer."""
        return sum(rank * (inputs + outputs) for inputs, outputs in self.linears)


# config.json of mistralai/Ministral-3-3B-Instruct-2512; arXiv 2601.08584
MINISTRAL_3B = Shape(
    hidden=3072, ffn=9216, layers=26, heads=32, kv_heads=8, head_width=128, vocabulary=131072
)
