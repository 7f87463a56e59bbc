"""Replace transformers' modules of the decoder by modules that keep and move less.

    modules.replace(model)       once, when the model is made; weights and names stay as they are

Each class adds no state to transformers' own, so a module changes its class and nothing else. Where
a module's linears are not our plain LoRA layers (disabled adapters, NF4, torch.compile), it runs
transformers' own forward.
"""

from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.ministral3 import modeling_ministral3 as stock

from steps.train.model import lora_linear
from steps.train.model.fused.norm import FusedRmsNorm
from steps.train.model.fused.rotary import rotate


class FusedMlp(stock.Ministral3MLP):
    """down(silu(gate(x)) * up(x)), of which gate(x) and up(x) are kept for backward."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, hidden) → (…, hidden)."""
        if not lora_linear.all_plain(self.gate_proj, self.up_proj, self.down_proj):
            stock_forward: Any = super().forward  # transformers has no types here
            plain: Tensor = stock_forward(x)
            return plain
        gate, up = lora_linear.adapted(x, [self.gate_proj, self.up_proj])
        return lora_linear.adapted_gated(gate, up, self.down_proj)


class FusedAttention(stock.Ministral3Attention):
    """Attention with q, k and v computed together."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None,
        position_ids: Tensor,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, tokens, hidden) → the same, and what the attention function returns as weights.

        The arguments are those of transformers' decoder layer. `read_only`, (read,), are the
        positions whose output is wanted; None wants all.
        """
        read_only: Tensor | None = kwargs.pop("read_only", None)
        if not lora_linear.all_plain(self.q_proj, self.k_proj, self.v_proj):
            layer = (hidden_states, position_embeddings, attention_mask, position_ids)
            attended, weights = super().forward(*layer, past_key_values, **kwargs)
            return _read(attended, read_only), weights
        states = self._projected(hidden_states, position_embeddings)
        states[0] = self._scaled(states[0], position_ids, kwargs.get("max_length_q"))
        states = [part.transpose(1, 2) for part in states]
        if past_key_values is not None:
            states[1:] = past_key_values.update(states[1], states[2], self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, stock.eager_attention_forward
        )
        options = {"scaling": self.scaling, "position_ids": position_ids, **kwargs}
        attended, weights = attend(
            self, *states, attention_mask, dropout=0.0, sliding_window=None, **options
        )
        return self.o_proj(_read(attended.flatten(-2), read_only)), weights

    def _projected(self, hidden: Tensor, angles: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Return the rotated q and k, and v: (batch, tokens, heads, width)."""
        projected = lora_linear.adapted(hidden, (self.q_proj, self.k_proj, self.v_proj))
        query, key, value = (part.unflatten(-1, (-1, self.head_dim)) for part in projected)
        return [rotate(query, *angles), rotate(key, *angles), value]

    def _scaled(self, query: Tensor, position_ids: Tensor, longest: int | None) -> Tensor:
        """Multiply by Llama 4's scale of far positions; it is 1 below the original context."""
        rope: Any = self.config.rope_parameters
        original = rope["original_max_position_embeddings"]
        if longest is not None and longest <= original:
            return query
        scale = stock.get_llama_4_attn_scale(position_ids, rope["llama_4_scaling_beta"], original)
        return query * scale.transpose(1, 2).to(query.dtype)  # (batch, tokens, 1, 1)


class LastLayer(stock.Ministral3DecoderLayer):
    """The last decoder layer: what follows attention is computed where it is read.

    No token attends to what the last layer returns, so only positions with a label need it. Keys,
    values and queries are those of all positions.
    """

    def forward(  # type: ignore[override]  # transformers passes the others by name
        self, hidden_states: Tensor, *, read_positions: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        """(1, tokens, hidden) → (1, read, hidden); without positions as transformers' layer."""
        if read_positions is None:
            every: Tensor = super().forward(hidden_states, **kwargs)
            return every
        normed = self.input_layernorm(hidden_states)
        attended, _ = self.self_attn(hidden_states=normed, read_only=read_positions, **kwargs)
        read = hidden_states.index_select(1, read_positions) + attended
        output: Tensor = read + self.mlp(self.post_attention_layernorm(read))
        return output


def _read(states: Tensor, positions: Tensor | None) -> Tensor:
    return states if positions is None else states.index_select(1, positions)


_REPLACED: dict[type[nn.Module], type[nn.Module]] = {
    stock.Ministral3MLP: FusedMlp,
    stock.Ministral3Attention: FusedAttention,
    stock.Ministral3RMSNorm: FusedRmsNorm,
}


def replace(model: nn.Module) -> None:
    """Give each decoder module of `model` its class above, in place."""
    for module in model.modules():
        fused = _REPLACED.get(type(module))
        if fused is not None:
            module.__class__ = fused
    layers = [each for each in model.modules() if isinstance(each, stock.Ministral3DecoderLayer)]
    layers[-1].__class__ = LastLayer
