"""How many bytes a training step needs at its worst moment, before anything is loaded.

    peak(Plan(MINISTRAL_3B, "storage", rank=16), 8192, recomputed=14).total

Four parts: the base, the adapters with gradients and optimizer state, what autograd keeps for backward, and what exists
only for a moment. The third is exact (each term below is a tensor that torch saves; tests compare byte for byte), the
peak is within 10 % of what torch's allocator counts on CPU. `cuda=True` differs in the terms marked so, which follow from
the kernels' code and are [unverified] until a GPU ran tests/steps/train/test_on_a_gpu.py. Native modes are meant for CUDA
only: the CPU emulates their product, in float32.
"""

from dataclasses import dataclass

from steps.train.model.chunked_loss import CHUNK_LOGITS
from steps.train.model.precision import Precision
from steps.train.planning.shapes import Shape

_WEIGHT_BYTES = {
    "storage": 1.0,
    "native": 1.0,
    "native_dx": 1.0,
    "nf4": 0.516,
}  # nf4: with doubly quantized scales
# Per adapter weight, beside 4 for the float32 weight and 4 for its gradient: AdamW's two float32 moments, or
# bitsandbytes' two bytes with a float32 absmax for each 256 of each. Paged state may leave the device; counted as if not.
_STATE_BYTES = {"adamw": 8.0, "adamw_8bit": 2 + 8 / 256, "paged_adamw_8bit": 2 + 8 / 256}


@dataclass(frozen=True)
class Plan:
    """What is going to be trained, and how; nothing about batch sizes."""

    shape: Shape
    mode: str  # Precision.effective
    rank: int
    optimizer: str = "adamw"
    element: int = 2  # bytes of an activation: 2 = bfloat16 under autocast, 4 = float32 without
    cuda: bool = True
    shards: int = 1  # processes among which every layer is split (FSDP2)

    @classmethod
    def of(cls, shape: Shape, precision: Precision, *, rank: int, optimizer: str) -> "Plan":
        """The plan of a run with this precision."""
        on_cuda = precision.device.capability is not None
        return cls(shape, precision.effective, rank, optimizer, precision.dtype.itemsize, on_cuda)


@dataclass(frozen=True)
class Estimate:
    """Bytes at the worst moment, by part."""

    base: int
    adapters: int
    kept: int
    momentary: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.base + self.adapters + self.kept + self.momentary


def peak(plan: Plan, tokens: int, *, recomputed: int, labelled: int | None = None) -> Estimate:
    """The peak of one pass over a packed row of `tokens`, the first `recomputed` layers of which recompute.

    Without `labelled` every token is taken to carry a label, which is the worst case.
    """
    labelled = tokens if labelled is None else labelled
    kept = kept_bytes(plan, tokens, recomputed=recomputed, labelled=labelled)
    casts = recomputed * _casts(plan)  # autocast forgets its copies when forward ends
    moments = [
        kept + casts + _loss_moment(plan, tokens, labelled),
        _recompute_moment(plan, tokens, recomputed),
    ]
    if recomputed < plan.shape.layers:
        moments.append(kept + _backward_moment(plan, tokens))
    worst = max(moments)
    return Estimate(base_bytes(plan), adapter_bytes(plan), min(kept, worst), max(0, worst - kept))


def base_bytes(plan: Plan) -> int:
    """The frozen model: linears by mode, embedding and norms in the activations' dtype."""
    shape = plan.shape
    norms = (2 * shape.layers + 1) * shape.hidden
    layer = shape.layer_weights * _WEIGHT_BYTES.get(plan.mode, plan.element)
    linears = shape.layers * layer / plan.shards + (
        2 * layer if plan.shards > 1 else 0
    )  # one at work, the next coming
    return round(linears) + plan.element * (shape.embedding + norms)


def adapter_bytes(plan: Plan) -> int:
    """Adapters in float32, their gradients and the optimizer's state."""
    each = plan.shape.adapter_weights(plan.rank)
    gathered = 2 * each * 4 if plan.shards > 1 else 0
    return round(
        plan.shape.layers * each * (8 + _STATE_BYTES[plan.optimizer]) / plan.shards + gathered
    )


def kept_bytes(plan: Plan, tokens: int, *, recomputed: int, labelled: int) -> int:
    """What autograd keeps from forward to backward; exact."""
    shape, w = plan.shape, plan.element
    ends = tokens * (4 * shape.hidden + 4)  # the final norm's input in float32 and its rsqrt
    ends += tokens * 2 * w * shape.head_width  # cos and sin
    ends += (
        labelled * w * shape.hidden + tokens
    )  # the hidden states' gradient, and which of them are labelled
    if (
        recomputed == 0
    ):  # nothing below the first layer's norm is trained, and no gradient goes through its q, k and v
        ends -= tokens * (4 * shape.hidden + 4) + (
            3 * w * plan.rank * shape.hidden if w == 2 else 0
        )
    layers = (shape.layers - recomputed) * layer_bytes(plan, tokens)
    return ends + layers + recomputed * tokens * w * shape.hidden


def layer_bytes(plan: Plan, tokens: int) -> int:
    """What one layer keeps that does not recompute."""
    shape, w = plan.shape, plan.element
    d, f, q, k = shape.hidden, shape.ffn, shape.queries, shape.keys
    norms = 2 * (4 * d + 4) + 2 * w * d  # inputs in float32 with their rsqrt, outputs
    attention = (
        w * (q + 2 * k) + w * q + 4 * shape.heads + w
    )  # q, k, v, output, log-sum-exp, llama-4 scale
    if not plan.cuda:
        attention += w * q  # the documents' outputs, put together
    mlp = 4 * w * f  # gate, silu(gate), up, product
    adapters = 7 * w * plan.rank  # between A and B
    return tokens * (norms + attention + mlp + adapters) + _casts(plan)


def _casts(plan: Plan) -> int:
    """Autocast's bfloat16 copies of one layer's adapters."""
    return 2 * plan.shape.adapter_weights(plan.rank) if plan.element == 2 else 0


def _loss_moment(plan: Plan, tokens: int, labelled: int) -> int:
    """Beyond what is kept while the loss is computed: all hidden states, the labelled ones, a chunk of logits twice in
    float32 (themselves, and logsumexp's own copy).
    """
    chunk = min(labelled, max(1, CHUNK_LOGITS // plan.shape.vocabulary)) * plan.shape.vocabulary
    return plan.element * plan.shape.hidden * (tokens + labelled) + 8 * chunk


def _backward_moment(plan: Plan, tokens: int) -> int:
    """Beyond what is kept while the last layer's MLP goes backward: its product is gone, and there are three gradients
    of that size (of the product, silu and up) or, at its down projection, two and the decoded weight.
    """
    shape, w = plan.shape, plan.element
    product = tokens * w * shape.ffn
    decodes = plan.mode != "off"
    decoded = (
        decodes * shape.ffn * shape.hidden * (w if plan.cuda else w + 4)
    )  # the CPU's table wants int32 indices
    promotes = (
        decodes and w == 2 and not plan.cuda
    )  # the CPU scales bfloat16 through float32 copies
    promoted = promotes * 8 * tokens * shape.ffn
    gradient = tokens * w * shape.hidden
    return gradient + max(
        2 * product, product + decoded, product + promoted, _quantizing(plan, tokens)
    )


def _quantizing(plan: Plan, tokens: int) -> int:
    """The down projection's input, quantized in forward: in float32, then in FP8."""
    return 5 * tokens * plan.shape.ffn if plan.mode.startswith("native") else 0


def _recompute_moment(plan: Plan, tokens: int, recomputed: int) -> int:
    """The last of the recomputed layers goes backward: the inputs of all of them, and it alone is whole."""
    if recomputed == 0:
        return 0
    inputs = recomputed * tokens * plan.element * plan.shape.hidden
    shared = (
        tokens * plan.element * plan.shape.hidden if plan.element == 4 else 0
    )  # its norm keeps the input itself
    cos_sin = tokens * 2 * plan.element * plan.shape.head_width
    return inputs + cos_sin + layer_bytes(plan, tokens) - shared + _backward_moment(plan, tokens)
