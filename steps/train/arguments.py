"""Train's hyperparameters (docs/architecture.md lists them).

    arguments = parse(json.loads(paths.hyperparameters.read_bytes()))

SageMaker passes every value as a string, and anybody who may start a job may have written it, so
every value is checked. Standard library only, so that `--help` and a refusal need not wait for
torch.
"""

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument
from steps.governance.errors import UsageError
from steps.governance.names import UcName, execution_id
from steps.governance.openlineage.target import NONE, TARGET, Target
from steps.governance.unity_catalog.budgets import Waits

NO_LIMIT = -1
FP8_MODES = ("auto", "storage", "native", "off", "nf4")
OPTIMIZERS = ("adamw", "adamw_8bit", "paged_adamw_8bit")
DETERMINISM = ("seeded", "full")
MERGED_EXPORTS = ("none", "bfloat16")
COMPILE = ("off", "layers")
SHARDINGS = ("auto", "ddp", "fsdp")
KERNELS = ("auto", "plain")
LORA_RANKS = (4, 8, 16, 32, 64, 128)
SEQUENCE_LENGTHS = (256, 512, 1024, 2048, 4096, 8192)

# A service may write 0.0002 as 2.0E-4, or with all the digits of the nearest binary number.
_LEARNING_RATE = types.between(
    r"[0-9]{0,3}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?",
    0.1,
    "a rate above 0, at most 0.1",
)
# Any number above 0: an execution that ran with a bound beyond today's range is repeated as it was
_LOSS = types.between(
    r"[0-9]{1,310}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?", sys.float_info.max, "a loss above 0"
)
_EXPERIMENT = types.matching(
    r"none|(/(?!\.+(/|$))[A-Za-z0-9_.@ -]{1,100}){2,8}", "none, or /folder/name"
)
_MODEL = types.matching(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?", "a model's name"
)
_REVISION = types.matching(r"[0-9a-f]{40}", "40 hex digits")


@dataclass(frozen=True)
class Arguments:
    """Train's hyperparameters, checked.

    `max_steps` -1 means no cap, `max_eval_examples` -1 all held-out examples. `sequence_length` is
    in tokens, `eval_steps` in optimizer steps, `early_stopping_patience` in evaluations (0:
    training never ends early). `max_eval_loss` is Gate's, in nats per target token: training does
    not depend on it, and its MLflow run states what Gate decides.
    """

    execution_arn: str
    curated_table: UcName
    prepare_manifest_uri: str
    train_evidence_uri: str
    epochs: int
    max_steps: int
    learning_rate: float
    lora_rank: int
    sequence_length: int
    seed: int
    fp8_mode: str
    optimizer: str
    eval_steps: int
    early_stopping_patience: int
    max_eval_examples: int
    max_eval_loss: float
    determinism: str
    merged_export: str
    compile: str
    sharding: str
    mlflow_experiment: str
    base_model: str
    base_model_revision: str
    databricks_host: str
    databricks_secret_id: str
    region: str
    kernels: str = "auto"
    openlineage: Target | None = None
    waits: Waits = field(default_factory=Waits)

    def train_manifest_uri(self, training_job: str) -> str:
        """Return the URI of the job's manifest. A retry is another job and has its own."""
        return f"{self.train_evidence_uri}/{training_job}/manifest.json"

    @property
    def needs_bitsandbytes(self) -> bool:
        """Whether the FP8 mode or the optimizer is one of bitsandbytes."""
        return self.fp8_mode == "nf4" or self.optimizer.endswith("_8bit")

    @property
    def exports_merged(self) -> bool:
        """Whether a merged model is written too."""
        return self.merged_export == "bfloat16"

    @property
    def execution_id(self) -> str:
        """The execution's short id: the curated table's partition value."""
        return execution_id(self.execution_arn)


_HYPERPARAMETERS = {
    "execution_arn": Argument(types.EXECUTION_ARN, "the execution this job belongs to"),
    "curated_table": Argument(types.TABLE, "the table that Prepare wrote the examples to"),
    "prepare_manifest_uri": Argument(types.S3_URI, "Prepare's manifest: what must be read"),
    "train_evidence_uri": Argument(types.S3_URI, "each job writes <job>/manifest.json there"),
    "epochs": Argument(types.whole(1, 20), "passes over the training examples"),
    "max_steps": Argument(types.cap(10**9), "optimizer steps at most; -1 for no cap"),
    "learning_rate": Argument(_LEARNING_RATE, "AdamW's peak learning rate"),
    "lora_rank": Argument(types.one_of(*LORA_RANKS), "rank of every adapter; alpha is twice it"),
    "sequence_length": Argument(
        types.one_of(*SEQUENCE_LENGTHS), "tokens of a packed row, and of one example at most"
    ),
    "seed": Argument(types.SEED, "of adapters, packing and order"),
    "fp8_mode": Argument(types.one_of(*FP8_MODES), "how the FP8 base is held and multiplied"),
    "optimizer": Argument(
        types.one_of(*OPTIMIZERS), "torch's AdamW, or bitsandbytes' with 8-bit state"
    ),
    "eval_steps": Argument(
        types.whole(1, 1_000_000), "optimizer steps between evaluations; each leaves a checkpoint"
    ),
    "early_stopping_patience": Argument(
        types.whole(0, 100),
        "evaluations without a lower loss after which training ends; 0 is never",
    ),
    "max_eval_examples": Argument(
        types.cap(1_000_000), "held-out examples of an evaluation; -1 is all"
    ),
    "max_eval_loss": Argument(_LOSS, "Gate's bound, which the job's MLflow run is compared with"),
    "determinism": Argument(
        types.one_of(*DETERMINISM), "full also forbids kernels whose sums depend on chance"
    ),
    "merged_export": Argument(
        types.one_of(*MERGED_EXPORTS), "whether the merged model is written as well"
    ),
    "compile": Argument(
        types.one_of(*COMPILE), "whether each decoder layer goes through torch.compile"
    ),
    "sharding": Argument(
        types.one_of(*SHARDINGS),
        "of the base over GPUs; auto shards only what does not fit one",
    ),
    "kernels": Argument(
        types.one_of(*KERNELS),
        "auto uses Triton kernels that pass a check; plain uses none",
        default="auto",
    ),
    "mlflow_experiment": Argument(_EXPERIMENT, "the workspace's experiment that gets live metrics"),
    "base_model": Argument(_MODEL, "the base model, as its mirror.json names it"),
    "base_model_revision": Argument(_REVISION, "its revision, as its mirror.json names it"),
    "databricks_host": Argument(types.HOST, "the Databricks workspace"),
    "databricks_secret_id": Argument(types.SECRET_ID, "the secret of this step's identity"),
    "region": Argument(types.REGION, "of the secret and the evidence bucket"),
    "openlineage": Argument(TARGET, "where run events are sent; none is nowhere", default=NONE),
    "waits": types.WAITS,
}


def parse(hyperparameters: Mapping[str, Any]) -> Arguments:
    """Read the hyperparameters.

    Raises:
        UsageError: naming every one that is missing, unknown or out of range, not only the first.
    """
    faults = [_unknown(name) for name in hyperparameters if name not in _HYPERPARAMETERS]
    values, misread = types.read(_HYPERPARAMETERS, hyperparameters)
    faults += misread
    if faults:
        raise UsageError(
            "the training job's hyperparameters cannot be used",
            expected="the names and ranges that `python -m steps.train --help` lists",
            got="; ".join(faults),
            do="correct the pipeline parameter or the configuration key behind each",
        )
    return Arguments(**values)


def describe() -> str:
    """The hyperparameters as a table, one line each."""
    width = max(map(len, _HYPERPARAMETERS))
    return "\n".join(
        f"  {name:<{width}}  {argument.meaning} ({argument.type.expected})"
        for name, argument in _HYPERPARAMETERS.items()
    )


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(str(name), _HYPERPARAMETERS, n=1)
    return f"{str(name)[:100]} is unknown" + (f", did you mean {near[0]}?" if near else "")
