"""The facts and assumptions behind docs/scaling.md, and the arithmetic of several GPUs.

Memory, operations and sizes come from steps/train/planning, as Train computes them. This module
adds what only the page needs: models larger than Ministral-3-3B, links and traffic.
`python -m scripts.scaling_page` makes the tables. To change a number, edit MODELS, GPUS, CLUSTERS
or the assumptions below them; prices are in conf/prices.json.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.cost import prices
from steps.train.planning import batching, flops, memory
from steps.train.planning.devices import SHEETS, Sheet
from steps.train.planning.memory import Plan
from steps.train.planning.shapes import MINISTRAL_3B, Shape

GIB = 2**30

# Assumptions: change them here.
RANK = 16  # of the adapters
TOKENS = 8192  # of a packed row
DOCUMENT = 1024  # tokens of a document; attention reaches only within it
LABELLED = 0.2  # share of tokens with a label
# Share of the bfloat16 peak that the operations of a step reach. A recomputed layer repeats its
# forward, which is half as much arithmetic again; flops.py does not count it, so it lowers the MFU
# from the published 0.41 to 0.43 (docs/scaling.md) to about 0.28.
MFU = 0.30
_ROW = flops.Tokens(
    tokens=TOKENS,
    pairs=TOKENS // DOCUMENT * (DOCUMENT * (DOCUMENT + 1) // 2),
    labelled=round(LABELLED * TOKENS),
)


@dataclass(frozen=True)
class Model:
    """A base model and the adapters that are trained on it."""

    name: str
    shape: Shape

    @property
    def linears(self) -> int:
        """Weights of all layers' linears."""
        return self.shape.layers * self.shape.layer_weights

    @property
    def adapters(self) -> int:
        """Weights of the LoRA adapters of all layers."""
        return self.shape.layers * self.shape.adapter_weights(RANK)


# 3B, 8B and 14B are Ministral 3, arXiv 2601.08584 [8B and 14B unverified here]. 32B and 70B have
# the sizes of Qwen2.5-32B and Llama-3-70B and represent models of that size; Train itself loads
# Ministral 3 only. The fields are hidden, ffn, layers, heads, kv_heads, head_width, vocabulary.
MODELS = (
    Model("3B", MINISTRAL_3B),
    Model("8B", Shape(4096, 14336, 34, 32, 8, 128, 131072, tied=False)),
    Model("14B", Shape(5120, 16384, 40, 32, 8, 128, 131072, tied=False)),
    Model("32B", Shape(5120, 27648, 64, 40, 8, 128, 152064, tied=False)),
    Model("70B", Shape(8192, 28672, 80, 64, 8, 128, 128256, tied=False)),
)


@dataclass(frozen=True)
class Gpu:
    """A GPU's data sheet and the link to its neighbours in the host, in bytes a second."""

    sheet: Sheet
    link: float


# Links, all [unverified]: PCIe 4.0 x16 through the host for A10G and L40S, NVLink in one direction
# for A100 and H100.
GPUS = {
    "A10G": Gpu(SHEETS["A10G"], 12e9),
    "L40S": Gpu(SHEETS["L40S"], 24e9),
    "A100": Gpu(SHEETS["A100-SXM4-40GB"], 300e9),
    "H100": Gpu(SHEETS["H100 80GB HBM3"], 450e9),
}


@dataclass(frozen=True)
class Cluster:
    """One or more hosts of one instance type."""

    instance: str
    hosts: int
    gpu: str
    gpus: int  # of each host
    network: float  # bytes a second of one host
    dollars: float  # an hour of one host

    @property
    def count(self) -> int:
        """GPUs of all hosts."""
        return self.hosts * self.gpus

    @property
    def name(self) -> str:
        """The instance type, with the number of hosts if there are several."""
        return self.instance if self.hosts == 1 else f"{self.hosts} x {self.instance}"

    @property
    def bandwidth(self) -> float:
        """Bytes a second from one GPU to the next in a ring, whose slowest link sets the pace."""
        link = GPUS[self.gpu].link
        return link if self.hosts == 1 else min(link, self.network)


_GBIT = 1e9 / 8
# Network: EC2's instance pages [unverified]. Dollars: conf/prices.json, [unverified] too.
_HOURLY = prices.read(prices.PATH).training_hour
CLUSTERS = tuple(
    Cluster(instance, hosts, gpu, gpus, gbit * _GBIT, _HOURLY[instance])
    for instance, hosts, gpu, gpus, gbit in (
        ("ml.g5.16xlarge", 1, "A10G", 1, 25),
        ("ml.g5.16xlarge", 4, "A10G", 1, 25),
        ("ml.g5.48xlarge", 1, "A10G", 8, 100),
        ("ml.g6e.12xlarge", 1, "L40S", 4, 100),
        ("ml.p4d.24xlarge", 1, "A100", 8, 400),
        ("ml.p5.48xlarge", 1, "H100", 8, 3200),
        ("ml.p5.48xlarge", 2, "H100", 8, 3200),
    )
)


def plan(model: Model, *, mode: str = "storage", shards: int = 1) -> Plan:
    """Return the memory plan of one GPU; `shards` is the number of GPUs that split the base."""
    return Plan(model.shape, mode, RANK, shards=shards)


def operations(model: Model) -> float:
    """Return the operations of forward and backward for one token."""
    return flops.of_step(model.shape, RANK, _ROW).total / TOKENS


def needed(model: Model, shards: int) -> memory.Estimate:
    """Return the bytes of each GPU for one row with every layer recomputed.

    This is the least memory that a row can need. `shards` is 1 if each GPU has the whole base
    (DDP), otherwise the number of GPUs (FSDP2).
    """
    return memory.peak(plan(model, shards=shards), TOKENS, recomputed=model.shape.layers)


def sharing(model: Model, cluster: Cluster) -> str:
    """Return what `sharding: auto` decides: one GPU, DDP or FSDP2, or "no" if nothing fits."""
    budget = batching.budget_bytes(GPUS[cluster.gpu].sheet.memory_bytes)
    if needed(model, 1).total <= budget:
        return "one GPU" if cluster.count == 1 else "DDP"
    split_fits = cluster.count > 1 and needed(model, cluster.count).total <= budget
    return "FSDP2" if split_fits else "no"


@dataclass(frozen=True)
class Step:
    """One optimizer step of a cluster: seconds of arithmetic and of traffic, and its tokens."""

    arithmetic: float
    traffic: float
    hidden: bool  # the traffic runs during the arithmetic
    tokens: int

    @property
    def rate(self) -> float:
        """Tokens a second."""
        if self.hidden:
            return self.tokens / max(self.arithmetic, self.traffic)
        return self.tokens / (self.arithmetic + self.traffic)


def step(model: Model, cluster: Cluster) -> Step:
    """Return the times of one optimizer step."""
    rows = batching.rows_per_step(cluster.count) // cluster.count  # of each GPU, one after another
    peak = GPUS[cluster.gpu].sheet.bfloat16
    arithmetic = rows * TOKENS * operations(model) / (MFU * peak)
    split = sharing(model, cluster) == "FSDP2"
    traffic = sharded_bytes(model, cluster, rows) if split else reduced_bytes(model, cluster)
    return Step(arithmetic, traffic / cluster.bandwidth, split, rows * TOKENS * cluster.count)


def reduced_bytes(model: Model, cluster: Cluster) -> float:
    """Return the bytes that DDP sends through each link in one step.

    The adapters' float32 gradients are reduced once; a ring sends 2 (n - 1) / n of them through
    each link.
    """
    return 2 * (cluster.count - 1) / cluster.count * 4 * model.adapters


def sharded_bytes(model: Model, cluster: Cluster, rows: int) -> float:
    """Return the bytes that FSDP2 sends through each link in one step.

    For each row every layer is gathered twice, in forward and in backward: one byte for each weight
    of its linears, four for each of its adapters. The adapters' gradients are scattered once.
    """
    share = (cluster.count - 1) / cluster.count
    return rows * share * (2 * (model.linears + 4 * model.adapters) + 4 * model.adapters)


def fitting() -> Iterable[tuple[Model, Cluster]]:
    """Return every pair of a model and a cluster on which it fits."""
    return (
        (model, cluster)
        for model in MODELS
        for cluster in CLUSTERS
        if sharing(model, cluster) != "no"
    )
