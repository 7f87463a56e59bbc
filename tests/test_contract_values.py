"""Whatever `pipeline.run` and conf take, the steps take: every value and every combination, asked of the steps' own code."""

import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import config, parameters, register_worker
from pipeline.configuration import combinations, instances, step_limits
from pipeline.errors import ConfigError
from pipeline.parameters import BY_NAME, TABLE, Value
from steps.governance.errors import GovernanceError
from steps.register.facts import Execution
from tests import test_contract as contract

ARN = f"arn:aws:sagemaker:us-east-1:111111111111:pipeline/p/execution/{contract.EXECUTION_ID}"
WORDS = [
    f"a.b.{'x' * 54}",
    f"a.b.{'x' * 55}",
    "",
    "auto",
    "none",
    "x",
    "a.b.c",
    "a.b",
    "A.b.c",
    "system.b.c",
    "samples.b.c",
    "hive_metastore.b.c",
    "__databricks_internal.b.c",
    "a.information_schema.c",
    "systems.samples.system",
    "latest",
    "v7",
    "challenger",
    f"a.b.{'x' * 63}",
    f"a.b.{'x' * 64}",
]
WHOLE = [
    -2,
    -1,
    0,
    1,
    4,
    5,
    20,
    21,
    100,
    101,
    256,
    300,
    8192,
    10**6,
    10**6 + 1,
    10**9,
    10**9 + 1,
    2**31 - 1,
    2**31,
    2**63 - 1,
]
NUMBERS = [-1.0, 0.0, 1e-300, 1e-12, 2e-4, 0.1, 0.11, 2.5, 1e9, 1e20, 1e308]


def steps_take(name: str, value: Value) -> bool:
    """Whether Prepare, Train and Register read this value of a parameter, all else being the defaults."""
    from steps.prepare.arguments import parse as parse_prepare
    from steps.train.arguments import parse as parse_train

    given_values = contract.defaults(contract.definition("dev")) | {name: value}
    texts = {parameter: str(each) for parameter, each in given_values.items()}
    execution = Execution(ARN, ARN, "0" * 64, datetime(2026, 11, 1, tzinfo=UTC), texts)
    try:
        parse_prepare(contract.told("Prepare", "dev", {name: value}))
        parse_train(contract.told("Train", "dev", {name: value}))
        execution.require_registrable()
    except GovernanceError:
        return False
    return name != "MaxEvalLoss" or float(value) > 0  # Gate: no loss is lower


def candidates(parameter: parameters.Parameter) -> list[Value]:
    """Values around every limit, and some of the table's own."""
    of_type: dict[str, list[Any]] = {"String": WORDS, "Integer": WHOLE, "Float": NUMBERS}
    return [*of_type[parameter.type], *parameter.choices, parameter.default]


@pytest.mark.parametrize(
    "parameter", [p for p in TABLE if p.name != "TrainInstanceType"], ids=lambda p: p.name
)
def test_a_step_takes_exactly_what_its_limit_says_and_the_table_takes_no_more(
    parameter: parameters.Parameter,
) -> None:
    values = candidates(parameter)
    taken = [value for value in values if steps_take(parameter.name, value)]
    assert [value for value in values if step_limits.takes(parameter.name, value)] == taken
    assert [value for value in values if parameter.admits(value) and value not in taken] == []
    assert {value for value in values if value not in taken} != set(), (
        "the candidates reach beyond the limit"
    )


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["RawTable", "CuratedTable", "ModelName", "ModelAlias"]), st.text(max_size=80)
)
@example("ModelAlias", "latest\n")
@example("ModelName", "a.b.c\n")
def test_a_name_that_passes_the_table_passes_the_step(name: str, text: str) -> None:
    if parameters.parsed(BY_NAME[name], text)[1] is None:
        assert steps_take(name, text)


@pytest.mark.parametrize(
    "text",
    [
        "2.0E-4",
        "2.0E-04",
        "2e-4",
        "0.00020",
        "1.0E-12",
        ".0002",
        "0.000200000000000000009584164209155735",
        "1E-1",
    ],
)
def test_train_reads_a_rate_however_a_service_writes_it(text: str) -> None:
    from steps.train.arguments import parse

    assert parse(contract.told("Train", "dev", {"LearningRate": text})).learning_rate == float(text)


def prepare_takes(raw: str, curated: str) -> bool:
    from steps.prepare.arguments import parse

    try:
        parse(contract.told("Prepare", "dev", {"RawTable": raw, "CuratedTable": curated}))
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


CAPABILITY = {
    "A10G": (8, 6),
    "L4": (8, 9),
    "L40S": (8, 9),
    "A100": (8, 0),
    "H100": (9, 0),
    "H200": (9, 0),
}
COMBINED = ("Fp8Mode", "Optimizer", "MergedExport")


# Configuration keys that reach a step as text: where they are, what they are called there, and values to try.
SECRETS = [
    "p/databricks/x",
    "/p",
    "-p",
    "p q",
    "",
    "s" * 500,
    "s" * 501,
    "arn:aws:secretsmanager:us-east-1:1:secret:x",
    "p!",
]
CONFIGURED: dict[str, tuple[list[tuple[str, str]], list[Any]]] = {
    "aws.region": (
        [("Prepare", "--region"), ("Train", "region"), ("Register", "--region")],
        [
            "us-east-1",
            "us-gov-west-1",
            "mars",
            "us-east-١",
            "US-EAST-1",
            "us-east-11",
            "us-east-1\n",
        ],
    ),
    "prepare.databricks_secret_id": ([("Prepare", "--databricks-secret-id")], SECRETS),
    "train.databricks_secret_id": ([("Train", "databricks_secret_id")], SECRETS),
    "register.databricks_secret_id": ([("Register", "--databricks-secret-id")], SECRETS),
    "prepare.curated_root": (
        [("Prepare", "--curated-root")],
        [
            f"s3://governed-finetune-dev-governed{end}"
            for end in ("/c", "", "/", "/c/", "//c", "/../c", "/a/../c", "/c d", "/.c")
        ],
    ),
    "prepare.eval_fraction": (
        [("Prepare", "--eval-fraction")],
        [0.001, 0.0011, 0.5, 0.0009, 0.51, 0.1234567890123456, 1e-5],
    ),
    "prepare.delta_engine": (
        [("Prepare", "--delta-engine")],
        ["delta-rs", "unity-connector", "spark"],
    ),
    "train.base_model": (
        [("Train", "base_model")],
        [
            "m",
            "o/m",
            "o/m/x",
            "m" * 96,
            "m" * 97,
            f"{'o' * 96}/m",
            f"{'o' * 97}/m",
            "-m",
            "m/",
            "m m",
            "../m",
        ],
    ),
    "train.base_model_revision": (
        [("Train", "base_model_revision")],
        ["a" * 40, "a" * 39, "main", "A" * 40],
    ),
    "train.sharding": ([("Train", "sharding")], ["auto", "ddp", "fsdp", "zero3"]),
    "train.mlflow_experiment": (
        [("Train", "mlflow_experiment")],
        [
            "/Shared/x",
            "/x",
            "x",
            "/a/../b",
            "/Shared/x\n",
            f"/Shared/{'x' * 100}",
            f"/Shared/{'x' * 101}",
            "/a" * 8,
            "/a" * 9,
        ],
    ),
    "pipeline.name": (
        [("Register", "--pipeline-name")],
        ["p", "p-1", "p--1", "-p", "p-", "p_1", "p" * 248, "p" * 257],
    ),
    "register.queue_url": (
        [("Register", "--queue-url")],
        [
            f"https://sqs.us-east-1.amazonaws.com/111111111111/{name}"
            for name in ("q", "q.fifo", "q q", "")
        ],
    ),
}


@pytest.mark.parametrize("key", CONFIGURED)
def test_whatever_a_configuration_file_may_hold_its_step_takes(key: str) -> None:
    taken, (places, values) = [], CONFIGURED[key]
    section, name = key.split(".")
    for value in values:
        raw = yaml.safe_load((config.CONF / "dev.yaml").read_text())
        raw[section][name] = value
        try:
            configured = config.parse(yaml.safe_dump(raw, allow_unicode=True), "dev", {})
        except ConfigError:
            continue
        taken.append(value)
        for step, argument in places:
            assert step_reads(configured, step, argument, str(value)), (step, value)
    assert 0 < len(taken) < len(values)


def step_reads(configured: config.Config, step: str, argument: str, text: str) -> bool:
    """Whether a step's parser takes the text of one configuration key, all else being the defaults."""
    from steps.prepare.arguments import parse as parse_prepare
    from steps.register.arguments import parse as parse_register
    from steps.train.arguments import parse as parse_train

    try:
        if step == "Register":
            return text in vars(parse_register(register_worker.arguments(configured))).values()
        told = contract.told(step, "dev")
        if step == "Train":
            return parse_train(told | {argument: text}) is not None
        told[told.index(argument) + 1] = text
        return parse_prepare(told) is not None
    except GovernanceError:
        return False


@pytest.mark.torch
@pytest.mark.parametrize(("sharding", "hosts"), list(product(("auto", "ddp", "fsdp"), (1, 2))))
def test_train_and_the_command_refuse_the_same_combinations(
    sharding: str, hosts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every mode, optimizer, export and instance type. The 3B base fits every GPU: the next test."""
    import torch

    from steps.train.arguments import parse
    from steps.train.export import merged_model
    from steps.train.model import loading, precision
    from steps.train.planning.devices import Device
    from steps.train.planning.shapes import MINISTRAL_3B

    monkeypatch.setattr(loading, "_fits", lambda *_: True)
    monkeypatch.setattr(merged_model, "_require_room", lambda *_: None)
    monkeypatch.setattr(merged_model.safetensors_writer, "plan", lambda _: None)
    monkeypatch.setattr(merged_model.base_weights, "shapes", lambda _: None)
    told = parse(contract.told("Train", "dev"))

    def train_takes(values: dict[str, Any]) -> bool:
        gpu = instances.gpu(values["TrainInstanceType"]).split(",")[0]
        device = Device(torch.device("cuda"), gpu, CAPABILITY[gpu])
        arguments = vars(told) | {
            "fp8_mode": values["Fp8Mode"], "optimizer": values["Optimizer"],
            "merged_export": values["MergedExport"], "sharding": sharding,
        }  # fmt: skip
        try:
            asked = type(told)(**arguments)
            decided = precision.decide(asked.fp8_mode, device)
            plan = decided.plan(MINISTRAL_3B, rank=16, optimizer=asked.optimizer)
            loading.shared_out(
                asked, plan, device, hosts * instances.gpus(values["TrainInstanceType"])
            )
            merged_model.require_possible(asked, SimpleNamespace(base_model=None, merged=Path("x")))
        except GovernanceError:
            return False
        return True

    wrong = []
    for instance, *words in product(instances.TYPES, *(BY_NAME[name].choices for name in COMBINED)):
        values = {"TrainInstanceType": instance} | dict(zip(COMBINED, words, strict=True))
        if train_takes(values) == bool(
            combinations.faults(values, combinations.Cluster(sharding, hosts))
        ):
            wrong.append(values)
    assert wrong == []


@pytest.mark.torch
def test_the_3b_base_fits_every_gpu_whatever_a_person_may_set() -> None:
    """So no SequenceLength, rank or optimizer has to be refused for its memory. Larger bases are Train's to judge."""
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
