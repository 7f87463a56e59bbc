"""The facts and formulas behind docs/scaling.md; `scripts/scaling` makes the tables.

Edit MODELS, GPUS, CLUSTERS and the assumptions below them. The formulas are those of steps/train/planning/memory.py and flops.py, for
the one way of cutting a step that needs least memory, and without torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass

GIB, MILLION = 2**30, 10**6


@dataclass(frozen=True)
class Model:
    """Sizes of a decoder; `heads` of `width` each, embeddings tied or not."""

    name: str
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    width: int
    vocabulary: int
    tied: bool

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(in, out) of one layer's linears."""
        d, f, q, k = self.hidden, self.ffn, self.heads * self.width, self.kv_heads * self.width
        return [(d, q), (d, k), (d, k), (q, d), (d, f), (d, f), (f, d)]

    @property
    def layer(self) -> int:
        """Weights of one layer's linears."""
        return sum(a * b for a, b in self.shapes)

    @property
    def linears(self) -> int:
        """Weights of all layers' linears."""
        return self.layers * self.layer

    @property
    def ends(self) -> int:
        """Weights of embedding and head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def adapters(self) -> int:
        """Weights of the LoRA adapters."""
        return self.layers * sum(RANK * (a + b) for a, b in self.shapes)


# 3B, 8B, 14B: Ministral 3, arXiv 2601.08584 [8B and 14B unverified here]. 32B and 70B: sizes of Qwen2.5-32B and Llama-3-70B,
# stand-ins for models of that size; Train itself loads Ministral 3 only.
MODELS = (
    Model("3B", 3072, 9216, 26, 32, 8, 128, 131072, tied=True),
    Model("8B", 4096, 14336, 34, 32, 8, 128, 131072, tied=False),
    Model("14B", 5120, 16384, 40, 32, 8, 128, 131072, tied=False),
    Model("32B", 5120, 27648, 64, 40, 8, 128, 152064, tied=False),
    Model("70B", 8192, 28672, 80, 64, 8, 128, 128256, tied=False),
)


@dataclass(frozen=True)
class Gpu:
    """Dense bfloat16 peak (operations a second), memory that CUDA reports (bytes), link to its neighbours (bytes a second)."""

    peak: float
    memory: float
    link: float


# Peaks: reference/training.md section 5 (A10G: 70, not the A10's 125); A100: NVIDIA's data sheet. Memory and links
# [unverified]: PCIe 4.0 x16 through the host for A10G and L40S, NVLink in one direction for A100 and H100.
GPUS = {
    "A10G": Gpu(70e12, 22.0 * GIB, 12e9),
    "L40S": Gpu(362e12, 44.4 * GIB, 24e9),
    "A100": Gpu(312e12, 39.4 * GIB, 300e9),
    "H100": Gpu(989e12, 79.1 * GIB, 450e9),
}


@dataclass(frozen=True)
class Cluster:
    """One or more hosts of one instance type."""

    instance: str
    hosts: int
    gpu: str
    gpus: int  # on each host
    network: float  # bytes a second of one host
    dollars: float  # an hour of one host

    @property
    def count(self) -> int:
        """GPUs of all hosts."""
        return self.hosts * self.gpus

    @property
    def name(self) -> str:
        """As conf would name it."""
        return self.instance if self.hosts == 1 else f"{self.hosts} x {self.instance}"

    @property
    def bandwidth(self) -> float:
        """Bytes a second of one GPU towards the next in a ring; the slowest link of the ring sets its pace."""
        link = GPUS[self.gpu].link
        return link if self.hosts == 1 else min(link, self.network)


GBIT = 1e9 / 8
# Network: EC2's instance pages. Dollars: SageMaker training on demand, us-east-1, no volume, no Savings Plan; g5 and g6e from
# tables in public repositories that cite AWS's price list, p4d and p5 from EC2's price after the cut of June 2025 plus
# SageMaker's 15 %. All [unverified]: look at aws.amazon.com/sagemaker/pricing before you decide anything.
CLUSTERS = (
    Cluster("ml.g5.16xlarge", 1, "A10G", 1, 25 * GBIT, 5.12),
    Cluster("ml.g5.16xlarge", 4, "A10G", 1, 25 * GBIT, 5.12),
    Cluster("ml.g5.48xlarge", 1, "A10G", 8, 100 * GBIT, 20.36),
    Cluster("ml.g6e.12xlarge", 1, "L40S", 4, 100 * GBIT, 13.12),
    Cluster("ml.p4d.24xlarge", 1, "A100", 8, 400 * GBIT, 25.25),
    Cluster("ml.p5.48xlarge", 1, "H100", 8, 3200 * GBIT, 63.30),
    Cluster("ml.p5.48xlarge", 2, "H100", 8, 3200 * GBIT, 63.30),
)

# Assumptions: change them here.
RANK = 16  # of the adapters
TOKENS = 8192  # of a packed row; one row at once, every layer recomputed: the least memory a row can need
ROWS_PER_STEP = 4  # or one a GPU, where there are more (steps/train/planning/batching.py)
DOCUMENT = 1024  # mean tokens of a document: attention looks at half of them
LABELLED = 0.2  # share of tokens with a label
MFU = 0.30  # share of the bfloat16 peak that a step's own operations reach; recomputing costs half as much again
CHUNK = 8 * 2**27  # bytes: a chunk of logits twice in float32 (steps/train/model/chunked_loss.py)
FULL, UNCOUNTED = (
    0.9,
    GIB,
)  # of a GPU's memory: what may be planned with, and what context and libraries take


def operations(model: Model) -> float:
    """Of forward and backward for one token: no gradient of the frozen weights, none of what is recomputed."""
    head = 4 * model.vocabulary * model.hidden * LABELLED
    attention = 3 * model.layers * 4 * model.heads * model.width * DOCUMENT / 2
    return 4 * model.linears + 6 * model.adapters + head + attention


def activations(model: Model) -> float:
    """Bytes: every layer's input, one whole layer while it is recomputed and goes backward, the loss."""
    inputs = 2 * model.hidden * TOKENS * model.layers
    q, k = model.heads * model.width, model.kv_heads * model.width
    layer = TOKENS * (12 * model.hidden + 2 * (2 * q + 2 * k) + 2 * 4 * model.ffn + 2 * 7 * RANK)
    backward = TOKENS * (2 * model.hidden + 2 * 2 * model.ffn)
    decoded = 2 * model.hidden * model.ffn
    return inputs + max(layer + backward + decoded, CHUNK + 4 * model.hidden * TOKENS)


def memory(model: Model, sharers: int) -> float:
    """Bytes on each GPU; `sharers` is 1 where each has the whole base (DDP), else the number of GPUs (FSDP2)."""
    gathered = (
        2 * model.layer if sharers > 1 else 0
    )  # the layer at work, and the next one on its way
    base = model.linears / sharers + gathered + 2 * model.ends
    return base + 16 * model.adapters / sharers + activations(model)


def sharing(model: Model, cluster: Cluster) -> str:
    """What `sharding: auto` comes to."""
    budget = FULL * GPUS[cluster.gpu].memory - UNCOUNTED
    if memory(model, 1) <= budget:
        return "one GPU" if cluster.count == 1 else "DDP"
    return "FSDP2" if cluster.count > 1 and memory(model, cluster.count) <= budget else "no"


@dataclass(frozen=True)
class Step:
    """One optimizer step of a cluster: seconds of arithmetic and of traffic, and its tokens."""

    arithmetic: float
    traffic: float
    hidden: bool  # traffic that goes on during the arithmetic
    tokens: int

    @property
    def rate(self) -> float:
        """Tokens a second."""
        seconds = (
            max(self.arithmetic, self.traffic) if self.hidden else self.arithmetic + self.traffic
        )
        return self.tokens / seconds


def step(model: Model, cluster: Cluster) -> Step:
    """How long one takes."""
    rows = -(-max(ROWS_PER_STEP, cluster.count) // cluster.count)  # of each GPU, one after another
    arithmetic = rows * TOKENS * operations(model) / (MFU * GPUS[cluster.gpu].peak)
    split = sharing(model, cluster) == "FSDP2"
    traffic = sharded_bytes(model, cluster, rows) if split else reduced_bytes(model, cluster)
    return Step(arithmetic, traffic / cluster.bandwidth, split, rows * TOKENS * cluster.count)


def reduced_bytes(model: Model, cluster: Cluster) -> float:
    """DDP: adapters' float32 gradients, once a step; a ring passes 2 (n - 1) / n of them through each link."""
    return 2 * (cluster.count - 1) / cluster.count * 4 * model.adapters


def sharded_bytes(model: Model, cluster: Cluster, rows: int) -> float:
    """FSDP2: for each row every layer is gathered twice and its adapters' gradients are scattered once."""
    each = (cluster.count - 1) / cluster.count
    return rows * each * (2 * (model.linears + 4 * model.adapters) + 4 * model.adapters)


def fitting() -> Iterable[tuple[Model, Cluster]]:
    """What fits where."""
    return (
        (model, cluster)
        for model in MODELS
        for cluster in CLUSTERS
        if sharing(model, cluster) != "no"
    )
