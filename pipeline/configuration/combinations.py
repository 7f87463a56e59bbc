"""Faults between parameters that are good alone: what Prepare or Train would refuse after it was started and paid for.

    combinations.faults({"RawTable": "a.b.c", "CuratedTable": "a.b.c", …}, Cluster())

tests/test_contract.py compares these rules with the steps' own checks, for every combination.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.configuration import instances

Fault = tuple[str, str]
Values = Mapping[str, Any]

REJECTED = (
    "_rejected"  # Prepare writes what it left out to a table of this name beside the curated one
)
_WHOLE_ONLY = {
    "Fp8Mode": ("nf4",),
    "Optimizer": ("adamw_8bit", "paged_adamw_8bit"),
}  # bitsandbytes splits no tensor


@dataclass(frozen=True)
class Cluster:
    """What the configuration says of Train's hosts: how many, and how the base model lies on their GPUs."""

    sharding: str = "auto"
    hosts: int = 1


ONE_HOST = Cluster()


def faults(values: Values, cluster: Cluster = ONE_HOST) -> list[Fault]:
    """Every fault, by the parameter that has to change. Values of a wrong type have a fault of their own elsewhere."""
    return [*_tables(values), *_arithmetic(values), *_split(values, cluster), *_merged(values)]


def _tables(values: Values) -> Iterator[Fault]:
    raw, curated = values.get("RawTable"), values.get("CuratedTable")
    if not isinstance(raw, str) or not isinstance(curated, str):
        return
    if raw == curated:
        yield "CuratedTable", f"expected another table than RawTable, got {curated!r} for both"
    if raw == curated + REJECTED:
        yield (
            "CuratedTable",
            f"expected a table whose {REJECTED} table is not RawTable, got {curated!r}",
        )


def _arithmetic(values: Values) -> Iterator[Fault]:
    mode, instance = values.get("Fp8Mode"), values.get("TrainInstanceType")
    if (
        mode != "native"
        or instance not in instances.TYPES
        or instances.has_fp8_arithmetic(instance)
    ):
        return
    families = " ".join(instances.WITH_FP8_ARITHMETIC)
    text = f"native needs FP8 arithmetic ({families}), {instance} has none ({instances.gpu(instance)}); auto takes the best"
    yield "Fp8Mode", text


def _split(values: Values, cluster: Cluster) -> Iterator[Fault]:
    """`auto` splits only what does not fit one GPU, which the job finds out; `fsdp` splits whenever there are two."""
    instance = values.get("TrainInstanceType")
    if cluster.sharding != "fsdp" or instance not in instances.TYPES:
        return
    gpus = cluster.hosts * instances.gpus(instance)
    if gpus == 1:
        return
    for name, whole_only in _WHOLE_ONLY.items():
        if (value := values.get(name)) in whole_only:
            where = f"train.sharding fsdp on {gpus} GPUs ({cluster.hosts} × {instance})"
            yield (
                name,
                f"{value} cannot be used with {where}; take another {name}, or train.sharding ddp or auto",
            )


def _merged(values: Values) -> Iterator[Fault]:
    if (values.get("MergedExport"), values.get("Fp8Mode")) == ("bfloat16", "nf4"):
        yield (
            "MergedExport",
            "bfloat16 does not go with Fp8Mode nf4, whose weights are not the released ones; take none",
        )
