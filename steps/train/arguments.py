"""Train's hyperparameters (docs/architecture.md, "What each step is told"): names, meanings and bounds, checked whole.

    arguments = parse(json.loads(paths.hyperparameters.read_bytes()))

SageMaker hands every value over as a string, and anybody who may start a job may have written it. Standard library
only, so that `--help` and a refusal cost no torch.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from steps.governance.errors import GovernanceError, UsageError
from steps.governance.names import UcName, execution_id

NO_LIMIT = -1
FP8_MODES = ("auto", "storage", "native", "off", "nf4")
OPTIMIZERS = ("adamw", "adamw_8bit", "paged_adamw_8bit")
DETERMINISM = ("seeded", "full")
MERGED_EXPORTS = ("none", "bfloat16")
COMPILE = ("off", "layers")
SHARDINGS = ("auto", "ddp", "fsdp")
LORA_RANKS = (4, 8, 16, 32, 64, 128)
SEQUENCE_LENGTHS = (256, 512, 1024, 2048, 4096, 8192)

_MAX_SEED = 2**31 - 1
_MAX_STEPS = 10**9
_S3_URI = re.compile(
    r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?!.*(//|/\.\./))[A-Za-z0-9!_.*'()/=-]+"
)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_REVISION = re.compile(r"[0-9a-f]{40}")
_EXPERIMENT = re.compile(r"none|(/(?!\.+(/|$))[A-Za-z0-9_.@ -]{1,100}){2,8}")


@dataclass(frozen=True)
class Arguments:
    """Everything Train is told. `max_steps` -1 means no cap; `sequence_length` is in tokens; `eval_steps` counts optimizer
    steps, `early_stopping_patience` evaluations (0: never early). `max_eval_examples` -1 means all held-out examples.
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

    def train_manifest_uri(self, training_job: str) -> str:
        """Where the job's manifest is written, once: a retry is another job and has its own."""
        return f"{self.train_evidence_uri.rstrip('/')}/{training_job}/manifest.json"

    @property
    def needs_bitsandbytes(self) -> bool:
        """Whether anything asked for is bitsandbytes'."""
        return self.fp8_mode == "nf4" or self.optimizer.endswith("_8bit")

    @property
    def exports_merged(self) -> bool:
        """Whether a merged model is wanted."""
        return self.merged_export == "bfloat16"

    @property
    def execution_id(self) -> str:
        """The execution's short id: the curated table's partition value."""
        return execution_id(self.execution_arn)


@dataclass(frozen=True)
class _Field:
    """One hyperparameter: how its text becomes a value, and what a reader of `--help` is told."""

    check: Callable[[str], object]
    expected: str
    meaning: str


def parse(hyperparameters: Mapping[str, Any]) -> Arguments:
    """Read the hyperparameters.

    Raises:
        UsageError: naming every one that is missing, unknown or out of range, not only the first.
    """
    faults = [_unknown(name) for name in hyperparameters if name not in _FIELDS]
    values: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        text = hyperparameters.get(name)
        if text is None:
            faults.append(f"{name} is missing: {field.expected}")
            continue
        try:
            values[name] = field.check(_string(text))
        except (GovernanceError, ValueError):
            faults.append(f"{name}: {field.expected} was expected, got {str(text)[:100]!r}")
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
    width = max(map(len, _FIELDS))
    return "\n".join(
        f"  {name:<{width}}  {field.meaning} ({field.expected})" for name, field in _FIELDS.items()
    )


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(str(name), _FIELDS, n=1)
    return f"{str(name)[:100]} is unknown" + (f", did you mean {near[0]}?" if near else "")


def _string(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError("SageMaker hands over strings")  # noqa: TRY004 - one kind of fault, caught where it is named
    return text


def _text(text: str) -> str:
    if not re.fullmatch(r"\S(.{0,498}\S)?", text):
        raise ValueError
    return text


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError
        return text

    return check


def _whole(low: int, high: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return check


def _one_of(*allowed: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        return {str(value): value for value in allowed}.get(text) or _refused()

    return check


def _refused() -> int:
    raise ValueError


def _listed(allowed: tuple[int, ...]) -> str:
    return ", ".join(map(str, allowed))


def _word(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return check


def _capped(most: int) -> Callable[[str], int]:
    """A cap from 1 to `most`, or `NO_LIMIT`."""
    return lambda text: _whole(NO_LIMIT, most)(text) or _refused()


def _rate(text: str) -> float:
    # A service may write 0.0002 as 2.0E-4, or with all the digits of the nearest binary number.
    if (
        not re.fullmatch(r"[0-9]{0,3}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?", text)
        or not 0 < float(text) <= 0.1
    ):
        raise ValueError
    return float(text)


def _arn(text: str) -> str:
    execution_id(text)
    return text


_FIELDS = {
    "execution_arn": _Field(
        _arn, "a pipeline execution's ARN", "the execution this job belongs to"
    ),
    "curated_table": _Field(
        UcName.parse, "catalog.schema.name", "the table that Prepare wrote the examples to"
    ),
    "prepare_manifest_uri": _Field(
        _matching(_S3_URI), "s3://bucket/key", "Prepare's manifest: what must be read"
    ),
    "train_evidence_uri": _Field(
        _matching(_S3_URI), "s3://bucket/prefix", "each job writes <job>/manifest.json there"
    ),
    "epochs": _Field(_whole(1, 20), "1 to 20", "passes over the training examples"),
    "max_steps": _Field(
        _capped(_MAX_STEPS), "-1 or at least 1", "optimizer steps at most; -1 is no cap"
    ),
    "learning_rate": _Field(_rate, "above 0, at most 0.1", "AdamW's peak learning rate"),
    "lora_rank": _Field(
        _one_of(*LORA_RANKS), _listed(LORA_RANKS), "rank of every adapter; alpha is twice it"
    ),
    "sequence_length": _Field(
        _one_of(*SEQUENCE_LENGTHS),
        _listed(SEQUENCE_LENGTHS),
        "tokens of a packed row, and of one example at most",
    ),
    "seed": _Field(_whole(0, _MAX_SEED), "0 to 2147483647", "of adapters, packing and order"),
    "fp8_mode": _Field(
        _word(FP8_MODES), ", ".join(FP8_MODES), "how the FP8 base is held and multiplied"
    ),
    "optimizer": _Field(
        _word(OPTIMIZERS), ", ".join(OPTIMIZERS), "torch's AdamW, or bitsandbytes' with 8-bit state"
    ),
    "eval_steps": _Field(
        _whole(1, 1_000_000),
        "1 to 1000000",
        "optimizer steps between evaluations; each leaves a checkpoint",
    ),
    "early_stopping_patience": _Field(
        _whole(0, 100),
        "0 to 100",
        "evaluations without a lower loss after which training ends; 0 is never",
    ),
    "max_eval_examples": _Field(
        _capped(1_000_000), "-1 or 1 to 1000000", "held-out examples of an evaluation; -1 is all"
    ),
    "determinism": _Field(
        _word(DETERMINISM),
        ", ".join(DETERMINISM),
        "full also forbids kernels whose sums depend on chance",
    ),
    "merged_export": _Field(
        _word(MERGED_EXPORTS),
        ", ".join(MERGED_EXPORTS),
        "whether the merged model is written as well",
    ),
    "compile": _Field(
        _word(COMPILE), ", ".join(COMPILE), "whether each decoder layer goes through torch.compile"
    ),
    "sharding": _Field(
        _word(SHARDINGS),
        ", ".join(SHARDINGS),
        "of the base over GPUs; auto shards only what does not fit one",
    ),
    "mlflow_experiment": _Field(
        _matching(_EXPERIMENT),
        "none, or /folder/name",
        "the workspace's experiment that gets live metrics",
    ),
    "base_model": _Field(
        _matching(_MODEL), "a model's name", "the base model, as its mirror.json names it"
    ),
    "base_model_revision": _Field(
        _matching(_REVISION), "40 hex digits", "its revision, as its mirror.json names it"
    ),
    "databricks_host": _Field(_text, "https://…", "the Databricks workspace"),
    "databricks_secret_id": _Field(
        _text, "a secret's name", "the Secrets Manager secret of this step's identity"
    ),
    "region": _Field(_matching(_REGION), "an AWS region", "of the secret and the evidence bucket"),
}
