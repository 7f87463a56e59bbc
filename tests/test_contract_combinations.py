"""Train, Prepare and `pipeline.run` refuse the same combinations of values."""

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.configuration import combinations, instances
from pipeline.configuration.parameters import BY_NAME
from steps.governance.errors import GovernanceError
from tests.compiled_steps import arguments

CAPABILITY = {
    "A10G": (8, 6),
    "L4": (8, 9),
    "L40S": (8, 9),
    "A100": (8, 0),
    "H100": (9, 0),
    "H200": (9, 0),
    "RTX PRO 6000": (12, 0),
    "B200": (10, 0),
    "B300": (10, 3),
}
COMBINED = ("Fp8Mode", "Optimizer", "MergedExport")


def prepare_takes(raw: str, curated: str) -> bool:
    from steps.prepare.arguments import parse

    try:
        parse(arguments("Prepare", "dev", {"RawTable": raw, "CuratedTable": curated}))
    except GovernanceError:
        return False
    return True


@pytest.mark.parametrize(
    ("raw", "curated"),
    [
        ("a.b.filings", "a.b.examples"),
        ("a.b.filings", "a.b.filings"),
        ("a.b.examples_rejected", "a.b.examples"),
    ],
)
def test_prepare_and_the_command_refuse_the_same_tables(raw: str, curated: str) -> None:
    named = {name for name, _ in combinations.faults({"RawTable": raw, "CuratedTable": curated})}
    assert prepare_takes(raw, curated) == (not named)


def train_takes(values: dict[str, Any], sharding: str, hosts: int) -> bool:
    """Return whether Train would start with these values. Memory and disk are left out."""
    import torch

    from steps.train.arguments import parse
    from steps.train.export import merged_model
    from steps.train.model import loading, precision
    from steps.train.planning.devices import Device
    from steps.train.planning.shapes import MINISTRAL_3B

    instance = values["TrainInstanceType"]
    gpu = instances.gpu(instance).split(",")[0]
    device = Device(torch.device("cuda"), gpu, CAPABILITY[gpu])
    compiled = parse(arguments("Train", "dev"))
    chosen = {
        "fp8_mode": values["Fp8Mode"],
        "optimizer": values["Optimizer"],
        "merged_export": values["MergedExport"],
        "sharding": sharding,
    }
    try:
        given = type(compiled)(**(vars(compiled) | chosen))
        decided = precision.decide(given.fp8_mode, device)
        plan = decided.plan(MINISTRAL_3B, rank=16, optimizer=given.optimizer)
        loading.plan_sharding(given, plan, device, hosts * instances.gpus(instance))
        merged_model.require_possible(given, SimpleNamespace(base_model=None, merged=Path("x")))
    except GovernanceError:
        return False
    return True


@pytest.mark.torch
@pytest.mark.parametrize(("sharding", "hosts"), list(product(("auto", "ddp", "fsdp"), (1, 2))))
def test_train_and_the_command_refuse_the_same_combinations(
    sharding: str, hosts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every mode, optimizer, export and instance type."""
    from steps.train.export import merged_model
    from steps.train.model import loading

    # The 3B base fits every GPU, as the next test shows.
    monkeypatch.setattr(loading, "_fits", lambda *_: True)
    monkeypatch.setattr(merged_model, "_require_room", lambda *_: None)
    monkeypatch.setattr(merged_model.safetensors_writer, "plan", lambda _: None)
    monkeypatch.setattr(merged_model.base_weights, "shapes", lambda _: None)
    cluster = combinations.Cluster(sharding, hosts)
    wrong = []
    for instance, *words in product(instances.TYPES, *(BY_NAME[name].choices for name in COMBINED)):
        values = {"TrainInstanceType": instance} | dict(zip(COMBINED, words, strict=True))
        if train_takes(values, sharding, hosts) == bool(combinations.faults(values, cluster)):
            wrong.append(values)
    assert wrong == []


@pytest.mark.torch
def test_the_3b_base_fits_every_gpu_with_every_parameter() -> None:
    """So the command refuses no SequenceLength, rank or optimizer for its memory."""
    from steps.train.planning import batching
    from steps.train.planning.devices import SHEETS
    from steps.train.planning.memory import Plan
    from steps.train.planning.shapes import MINISTRAL_3B

    smallest = min(sheet.memory_bytes for sheet in SHEETS.values())
    longest, rank = max(BY_NAME["SequenceLength"].choices), max(BY_NAME["LoraRank"].choices)
    for mode, optimizer in product(
        ("storage", "native_dx", "off", "nf4"), BY_NAME["Optimizer"].choices
    ):
        plan = Plan(MINISTRAL_3B, mode, rank=rank, optimizer=str(optimizer))
        assert (
            batching.fit(
                plan, int(longest), divisors=[1, 2, 4], budget=batching.budget_bytes(smallest)
            ).micro_rows
            >= 1
        )


def test_the_gpus_of_an_instance_are_those_of_the_scaling_tables() -> None:
    from scripts.scaling_arithmetic import CLUSTERS

    assert len(CLUSTERS) > 5
    for cluster in CLUSTERS:
        gpu = instances.gpu(cluster.instance).split(",")[0]
        assert (instances.gpus(cluster.instance), gpu) == (cluster.gpus, cluster.gpu)
