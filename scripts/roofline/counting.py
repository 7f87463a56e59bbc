"""Count what the operations of a pass move and compute, as they are dispatched.

    with Counter(pairs=…) as counter: loss = model(**batch).loss; loss.backward()
    counter.operations

A matrix product or attention counts its floating-point operations; everything else only moves
bytes: each tensor that it reads and each that it writes, once. Views cost nothing. Forward and
backward of one pass are a few thousand operations, so the list is complete, not a sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

# Operations that start no kernel: views, shapes, and memory that is only reserved
_FREE = frozenset(
    (
        *("_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "device", "empty"),
        *("empty_like", "empty_strided", "expand", "is_contiguous", "lift_fresh", "narrow"),
        *("new_empty", "new_empty_strided", "permute", "reshape", "select", "set_", "slice"),
        *("split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsafe_split"),
        *("unsqueeze", "view"),
    )
)
_WRITES_ONLY = frozenset(
    ("arange", "fill_", "full", "full_like", "new_zeros", "ones", "ones_like", "zero_", "zeros")
)
_GATHERS = frozenset(("embedding", "index_select", "gather", "index"))
_PRODUCTS_IN_PLACE = frozenset(("addmm_", "addmm"))
# logsumexp is four kernels: maximum, difference, exponential, sum. Passes over its input in all:
_LOGSUMEXP_PASSES = 6
_ATTENTION_PRODUCTS = {"_varlen_attn": 2, "_varlen_attn_backward": 5}


@dataclass(frozen=True)
class Operation:
    """One kernel: bytes that it reads and writes, operations of its product, and in which type."""

    name: str
    bytes: int
    flops: int
    fp8: bool = False

    @property
    def is_attention(self) -> bool:
        """Whether this is the attention kernel."""
        return self.name in _ATTENTION_PRODUCTS


class Counter(TorchDispatchMode):
    """Record every operation that is dispatched in this block.

    Args:
        pairs: (query, key) pairs of attention in the batch; the kernel's arguments lack them.
    """

    def __init__(self, pairs: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        self.operations: list[Operation] = []
        self._pairs = pairs

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and record it."""
        given = kwargs or {}
        out = func(*args, **given)
        name = func._schema.name.split("::")[-1]
        if name not in _FREE:
            outputs = {a.name for a in func._schema.arguments if a.kwarg_only and a.is_write}
            inputs = {key: value for key, value in given.items() if key not in outputs}
            read, written = [*_tensors((args, inputs))], [*_tensors(out)]
            self.operations.append(
                Operation(
                    name,
                    _bytes(name, read, written),
                    self._flops(func, name, args, given, out),
                    fp8=name == "_scaled_mm",
                )
            )
        return out

    def _flops(self, func: Any, name: str, args: Any, given: Any, out: Any) -> int:
        if name in _ATTENTION_PRODUCTS:
            query = next(t for t in _tensors(args) if t.dim() == 3)  # (tokens, heads, width)
            return _ATTENTION_PRODUCTS[name] * 2 * query.shape[1] * query.shape[2] * self._pairs
        if name in _PRODUCTS_IN_PLACE:
            left, right = args[1], args[2]
            return int(2 * left.shape[0] * left.shape[1] * right.shape[1])
        count: Any = flop_registry.get(func._overloadpacket)
        return int(count(*args, **given, out_val=out)) if count else 0


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)


def _size(tensor: Tensor) -> int:
    """Return the bytes of a tensor; a dimension that is only expanded is read once."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride else 1
    return count * tensor.element_size()


def _bytes(name: str, read: list[Tensor], written: list[Tensor]) -> int:
    writes = sum(map(_size, written))
    if name in _WRITES_ONLY:
        return writes
    if name in _GATHERS:
        return 2 * writes
    reads = sum(map(_size, read))
    return writes + reads * (_LOGSUMEXP_PASSES if name == "logsumexp" else 1)
