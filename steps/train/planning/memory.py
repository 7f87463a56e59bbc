"""Predict the peak memory of a training step, in bytes, before anything is loaded.

    peak(Plan(MINISTRAL_3B, "storage", rank=16), 8192, recomputed=14).total

The peak has four parts:

* base: the frozen model.
* adapters: adapter weights, their gradients and the optimizer state.
* kept: what autograd saves in forward for backward. This part is exact: each term below is a tensor
  that torch saves, and tests compare the sum with the saved bytes.
* momentary: tensors that exist for a short time at the peak.

The total is within 10 % of what torch's allocator counts on CPU. Terms that differ on CUDA test
`plan.on_cuda`; they follow from the code of the kernels and are [unverified] until
tests/steps/train/test_on_a_gpu.py has run on a GPU. Native modes are predicted for CUDA only: the
CPU emulates the FP8 product in float32, which takes more memory.

In the formulas w is `plan.element_bytes`, the size of an activation.
"""

from dataclasses import dataclass

from steps.train.planning.shapes import Shape

# The loss computes this many logits at a time (model/chunked_loss.py): 0.5 GiB in float32, the
# logits of 1,024 positions with Ministral's vocabulary.
CHUNK_LOGITS = 2**27
# On a CPU a chunk is 16 MiB, half of what glibc always maps, but has at least so many
# positions: a product with fewer is slower (docs/decisions/078-kept-heap.md).
_CPU_CHUNK_LOGITS, _CPU_CHUNK_ROWS = 2**22, 256

# Bytes per weight of the base's linears; nf4 includes its doubly quantized scales. Modes that are
# not listed store weights in the dtype of the activations.
_WEIGHT_BYTES = {"storage": 1.0, "native": 1.0, "native_dx": 1.0, "nf4": 0.516}

# Optimizer bytes per adapter weight, in addition to 4 for the float32 weight and 4 for its
# gradient. AdamW has two float32 moments; bitsandbytes has two bytes, and one float32 absmax per
# 256 values of each. Paged state may move to the host, but is counted as if it stayed on the
# device.
_STATE_BYTES = {"adamw": 8.0, "adamw_8bit": 2 + 8 / 256, "paged_adamw_8bit": 2 + 8 / 256}


@dataclass(frozen=True)
class Plan:
    """The model and the way it is trained, without batch sizes."""

    shape: Shape
    mode: str  # Precision.effective
    rank: int
    optimizer: str = "adamw"
    element_bytes: int = 2  # of an activation: 2 = bfloat16 under autocast, 4 = float32 without
    on_cuda: bool = True
    shards: int = 1  # processes among which every layer is split (FSDP2)


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak, by part (see the module's docstring)."""

    base: int
    adapters: int
    kept: int
    momentary: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.base + self.adapters + self.kept + self.momentary


def peak(plan: Plan, tokens: int, *, recomputed: int, labelled: int | None = None) -> Estimate:
    """Return the peak of one pass over a packed row of `tokens`.

    The pass reaches its peak in the loss or in the backward pass of a layer: the last one, the one
    before it, which computes every token, or the last one that recomputes.

    Args:
        plan: the model and the way it is trained.
        tokens: length of the row.
        recomputed: the first `recomputed` layers recompute their activations, the others keep them.
        labelled: tokens that have a label; None takes all of them, which is the worst case.
    """
    labelled = tokens if labelled is None else labelled
    before_last = plan.shape.layers - 1
    kept = kept_bytes(plan, tokens, recomputed=recomputed, labelled=labelled)
    # NF4's layers are PEFT's. Those that recompute do not save autocast's copies of the adapters,
    # but autocast caches them until forward ends.
    casts = recomputed * _casts(plan)
    moments = [
        kept + casts + _loss_moment(plan, labelled),
        _recompute_moment(plan, tokens, min(recomputed, before_last)),
    ]
    if recomputed > before_last:
        moments.append(_recompute_moment(plan, tokens, recomputed, read=labelled))
    else:
        moments.append(kept + _backward_moment(plan, labelled))
    if recomputed < before_last:
        released = layer_bytes(plan, tokens, read=labelled) + _loss_bytes(plan, labelled)
        moments.append(kept - released + _backward_moment(plan, tokens))
    worst = max(moments)
    return Estimate(base_bytes(plan), adapter_bytes(plan), min(kept, worst), max(0, worst - kept))


def base_bytes(plan: Plan) -> int:
    """Return the bytes of the frozen model.

    The mode decides how linears are stored; the others have the dtype of activations.
    """
    shape = plan.shape
    norms = (2 * shape.layers + 1) * shape.hidden
    layer = shape.layer_weights * _WEIGHT_BYTES.get(plan.mode, plan.element_bytes)
    # FSDP2 gathers whole layers: the one that runs and the next one, which is prefetched.
    gathered = 2 * layer if plan.shards > 1 else 0
    linears = shape.layers * layer / plan.shards + gathered
    return round(linears) + plan.element_bytes * (shape.ends + norms)


def adapter_bytes(plan: Plan) -> int:
    """Return the bytes of the float32 adapters, their gradients and the optimizer state."""
    weights = plan.shape.adapter_weights(plan.rank)
    gathered = 2 * weights * 4 if plan.shards > 1 else 0
    bytes_per_weight = 8 + _STATE_BYTES[plan.optimizer]
    return round(plan.shape.layers * weights * bytes_per_weight / plan.shards + gathered)


def kept_bytes(plan: Plan, tokens: int, *, recomputed: int, labelled: int) -> int:
    """Return the bytes that autograd saves in forward for backward; exact."""
    shape, w = plan.shape, plan.element_bytes
    ends = _loss_bytes(plan, labelled)
    ends += tokens * 2 * w * shape.head_width  # cos and sin of the rotary embedding
    ends += labelled * 8  # the positions of labelled tokens
    if recomputed == 0:
        # Nothing below the first layer is trained: its input norm saves nothing, and neither do the
        # A matrices of its q, k and v, whose inputs need no gradient.
        ends -= tokens * (w * shape.hidden + 4)
        ends -= 3 * w * plan.rank * shape.hidden if _casts(plan) else 0
    inputs = recomputed * tokens * w * shape.hidden  # a recomputed layer saves its input only
    if recomputed == shape.layers:
        return ends + inputs
    layers = (shape.layers - 1 - recomputed) * layer_bytes(plan, tokens)
    return ends + inputs + layers + layer_bytes(plan, tokens, read=labelled)


def _loss_bytes(plan: Plan, labelled: int) -> int:
    """Return the bytes that the final norm and the loss save.

    The norm saves its input and one number a token, the loss the gradient that it has computed.
    """
    return labelled * (2 * plan.element_bytes * plan.shape.hidden + 4)


def layer_bytes(plan: Plan, tokens: int, *, read: int | None = None) -> int:
    """Return the bytes that one layer saves if it does not recompute.

    Args:
        plan: the model and the way it is trained.
        tokens: length of the row.
        read: positions that the last layer computes behind attention (fused/modules.py). None
            is any other layer.
    """
    shape, w = plan.shape, plan.element_bytes
    d, f, q, k = shape.hidden, shape.ffn, shape.queries, shape.keys
    norm = 2 * w * d + 4  # its input, one number a token, and its output
    attention = w * (q + 2 * k) + w * q  # q, k, v and the output
    attention += 4 * shape.heads  # log-sum-exp in float32
    selected = w * q if read is not None else 0  # the output where it is read
    if read is None and not plan.on_cuda:
        attention += w * q  # the outputs of all documents, concatenated
    mlp = 2 * w * f  # gate and up
    if (
        plan.mode == "nf4"
    ):  # transformers' own modules run: silu(gate), the product, Llama 4's scale
        mlp, attention = 2 * mlp, attention + w
    low = w * plan.rank  # an output of A, which is the input of B
    every = norm + attention + 3 * low  # of q, k and v
    behind = selected + norm + mlp + 4 * low  # of o, gate, up and down
    return tokens * every + (tokens if read is None else read) * behind + _casts(plan)


def _casts(plan: Plan) -> int:
    """Return the bytes of autocast's bfloat16 copies of one layer's adapters; ours keeps none."""
    copied = plan.mode == "nf4" and plan.element_bytes == 2
    return 2 * plan.shape.adapter_weights(plan.rank) if copied else 0


def chunk_rows(vocabulary: int, *, on_cuda: bool) -> int:
    """Return the positions whose logits the loss computes at a time."""
    most = max(1, CHUNK_LOGITS // vocabulary)
    if on_cuda:
        return most
    return min(most, max(_CPU_CHUNK_ROWS, _CPU_CHUNK_LOGITS // vocabulary))


def _loss_moment(plan: Plan, labelled: int) -> int:
    """Return the bytes that the loss needs in addition to what is kept.

    These are the labelled hidden states, and a chunk of logits twice in float32: the logits, and
    the copy that logsumexp makes.
    """
    vocabulary = plan.shape.vocabulary
    chunk = min(labelled, chunk_rows(vocabulary, on_cuda=plan.on_cuda)) * vocabulary
    return plan.element_bytes * plan.shape.hidden * labelled + 8 * chunk


def _backward_moment(plan: Plan, tokens: int) -> int:
    """Return the bytes that the backward pass of one layer's MLP needs in addition to what is kept.

    Three tensors of the product's size exist (the product, and the gradients of gate and up). What
    the decoded weight of the next linear adds is counted in full, though one of them is free by
    then: it makes up for the allocator's rounding.
    """
    shape, w = plan.shape, plan.element_bytes
    product = tokens * w * shape.ffn
    decodes = plan.mode != "off"
    # The CPU decodes through a lookup table, which wants int32 indices: 4 more bytes a weight.
    decoded = decodes * shape.ffn * shape.hidden * (w if plan.on_cuda else w + 4)
    gradient = tokens * w * shape.hidden
    return gradient + max(3 * product + decoded, product + _quantizing(plan, tokens))


def _quantizing(plan: Plan, tokens: int) -> int:
    """Return the bytes of the quantized input of the down projection: in float32, then in FP8."""
    return 5 * tokens * plan.shape.ffn if plan.mode.startswith("native") else 0


def _recompute_moment(plan: Plan, tokens: int, recomputed: int, *, read: int | None = None) -> int:
    """Return the bytes kept and momentary in the backward pass of the last recomputed layer.

    The layers behind it have released what they kept. What remains are the inputs of all recomputed
    layers and the saved tensors of this one layer; `read` is given if it is the model's last one.
    """
    if recomputed == 0:
        return 0
    inputs = recomputed * tokens * plan.element_bytes * plan.shape.hidden
    shared = tokens * plan.element_bytes * plan.shape.hidden  # the layer's norm saves its input
    cos_sin = tokens * 2 * plan.element_bytes * plan.shape.head_width
    kept = inputs + cos_sin + layer_bytes(plan, tokens, read=read) - shared
    return kept + _backward_moment(plan, tokens if read is None else read)
