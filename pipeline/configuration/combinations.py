"""Faults between parameters that are valid alone.

    combinations.faults({"RawTable": "a.b.c", "CuratedTable": "a.b.c", …}, Cluster())

Prepare or Train would refuse them too, but only after it was started and paid for.
tests/test_contract_values.py compares these rules with the steps' own checks, for every
combination.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.configuration import instances

Fault = tuple[str, str]
Values = Mapping[str, Any]

# Prepare writes the rows that it rejects to a second table: the curated one's name and this suffix.
REJECTED = "_rejected"
# Values that use bitsandbytes, which cannot shard a tensor.
_NOT_SHARDED = {
    "Fp8Mode": ("nf4",),
    "Optimizer": ("adamw_8bit", "paged_adamw_8bit"),
}


@dataclass(frozen=True)
class Cluster:
    """Train's hosts in the configuration: how many, and how the base model is sharded on them."""

    sharding: str = "auto"
    hosts: int = 1


ONE_HOST = Cluster()


def faults(values: Values, cluster: Cluster = ONE_HOST) -> list[Fault]:
    """Return every fault, by the parameter that has to change.

    Values of a wrong type are skipped: `parameter_rules.fault` reports them.
    """
    return [*_tables(values), *_arithmetic(values), *_sharded(values, cluster), *_merged(values)]


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
    yield (
        "Fp8Mode",
        (
            f"native needs FP8 arithmetic ({families}), which {instance} lacks "
            f"({instances.gpu(instance)}); auto takes the best"
        ),
    )


def _sharded(values: Values, cluster: Cluster) -> Iterator[Fault]:
    """Faults of values that cannot be sharded, where `fsdp` shards over several GPUs.

    `auto` shards only a base that does not fit one GPU, which the job itself finds out.
    """
    instance = values.get("TrainInstanceType")
    if cluster.sharding != "fsdp" or instance not in instances.TYPES:
        return
    gpus = cluster.hosts * instances.gpus(instance)
    if gpus == 1:
        return
    for name, not_sharded in _NOT_SHARDED.items():
        if (value := values.get(name)) in not_sharded:
            where = f"train.sharding fsdp on {gpus} GPUs ({cluster.hosts} × {instance})"
            yield (
                name,
                (
                    f"{value} cannot be used with {where}; "
                    f"take another {name}, or train.sharding ddp or auto"
                ),
            )


def _merged(values: Values) -> Iterator[Fault]:
    if (values.get("MergedExport"), values.get("Fp8Mode")) == ("bfloat16", "nf4"):
        yield (
            "MergedExport",
            (
                "bfloat16 does not go with Fp8Mode nf4, whose weights are not the released ones; "
                "take none"
            ),
        )
