"""The estimate's arithmetic, and its facts against the code and the templates that they repeat."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.configuration import config, instances, parameters
from pipeline.cost import estimate, prices, speed, work
from pipeline.cost.prices import Prices
from pipeline.cost.work import Corpus, Work, plan
from steps.train.data.stratified import LEAST_EXAMPLES
from steps.train.planning import batching, proportion

TEMPLATES = Path(__file__).resolve().parents[3] / "conf" / "infrastructure"
SEED_EXAMPLE = {"MaxSteps": -1, "Epochs": 3, "MaxEvalExamples": 1000, "EvalSteps": 500}


@pytest.fixture
def table() -> Prices:
    return prices.read(prices.PATH)


@pytest.fixture(scope="module")
def dev() -> config.Config:
    return config.load("dev")


def planned(dev: config.Config, corpus: Corpus, **values: int) -> Work:
    return plan(corpus, dev, {**parameters.DEFAULTS, **dev.parameters, **values})


def test_the_hours_are_tokens_over_tokens_a_second_and_the_start(dev: config.Config) -> None:
    made = planned(dev, Corpus(1, examples=1000), MaxSteps=-1, Epochs=2, EvalSteps=10**6)
    assert (made.examples, made.held_out) == (900, 100)
    trained, evaluated = 2 * 900 * made.tokens, 2 * 100 * made.tokens
    assert made.trained_tokens("ml.g5.2xlarge") == trained
    assert made.evaluated_tokens("ml.g5.2xlarge") == evaluated
    expected = work.TRAIN_STARTS_SECONDS + (trained + evaluated / speed.FORWARD) / 3_241
    assert made.train_seconds("ml.g5.2xlarge") == pytest.approx(expected)


def test_max_steps_ends_the_training(dev: config.Config) -> None:
    made = planned(dev, Corpus(1000), MaxSteps=10)
    assert made.steps("ml.g5.2xlarge") == 10
    assert made.trained_tokens("ml.g5.2xlarge") == 10 * work.ROWS_A_STEP * 2048
    assert made.trained_tokens("ml.g5.48xlarge") == 10 * 8 * 2048  # a row for each GPU


@pytest.mark.parametrize("gpus", [1, 2, 3, 4, 8, 16])
def test_a_step_has_as_many_rows_as_in_train(
    dev: config.Config, gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "gpus", lambda _: gpus)
    made = planned(dev, Corpus(10**6), MaxSteps=1)
    assert made.trained_tokens("any") == batching.rows_per_step(gpus) * 2048


@pytest.mark.parametrize("examples", [10_000, 40_000, 10**6])
@pytest.mark.parametrize("epochs", [1, 3])
def test_evaluations_measure_what_train_lets_them(
    dev: config.Config, examples: int, epochs: int
) -> None:
    made = planned(dev, Corpus(1, examples=examples), Epochs=epochs, EvalSteps=50)
    steps, whole = made.steps("ml.g5.2xlarge"), made.held_out * made.tokens
    trained, times = made.trained_tokens("ml.g5.2xlarge"), math.ceil(steps / 50)
    sample = proportion.sample_tokens(trained=trained, whole=whole, evaluations=times)
    sample = max(sample, LEAST_EXAMPLES * made.tokens)
    expected = 2 * whole + times * sample if sample < whole else (1 + times) * whole
    assert made.evaluated_tokens("ml.g5.2xlarge") == expected
    if sample > LEAST_EXAMPLES * made.tokens:
        assert proportion.share(evaluated=expected, trained=trained) <= proportion.SHARE


def test_four_gpus_are_four_times_as_fast_beyond_the_start(dev: config.Config) -> None:
    made = planned(dev, Corpus(10_000), **SEED_EXAMPLE)
    one, four = (
        made.train_seconds(kind) - work.TRAIN_STARTS_SECONDS
        for kind in ("ml.g5.16xlarge", "ml.g5.12xlarge")
    )
    assert one / four == pytest.approx(4, rel=0.01)


def test_two_hosts_cost_their_hours_twice(dev: config.Config, table: Prices) -> None:
    one = planned(dev, Corpus(1000), **SEED_EXAMPLE)
    two = replace(one, hosts=2)
    hours = two.train_seconds("ml.g5.2xlarge") / 3600
    assert estimate.train(two, "ml.g5.2xlarge", table).dollars == pytest.approx(2 * hours * 1.515)
    assert two.train_seconds("ml.g5.2xlarge") < one.train_seconds("ml.g5.2xlarge")


def test_prepare_is_its_workers_by_the_second(dev: config.Config, table: Prices) -> None:
    made = planned(dev, Corpus(1000))
    hours = (work.PREPARE_STARTS_SECONDS + 1000 * work.PREPARE_CPU_SECONDS_A_FILING / 16) / 3600
    hourly = 16 * table.emr_vcpu_hour + 4 * 14 * 1.1 * table.emr_memory_gb_hour
    assert estimate.prepare(made, table).dollars == pytest.approx(hours * hourly)


def test_the_same_gpu_in_a_smaller_host_is_found_cheaper(dev: config.Config, table: Prices) -> None:
    made = planned(dev, Corpus(1000), **SEED_EXAMPLE)
    found = estimate.others(made, dev.limits.instance_types, table)
    by_type = {choice.instance_type: choice for choice in found}
    big, small = by_type["ml.g5.16xlarge"], by_type["ml.g5.2xlarge"]
    assert (big.gpu, big.hours) == (small.gpu, small.hours)
    assert big.dollars / small.dollars == pytest.approx(5.12 / 1.515)
    assert by_type["ml.g6e.xlarge"].hours < small.hours
    assert [each.dollars for each in found] == sorted(each.dollars for each in found)


def test_an_instance_that_is_not_allowed_is_not_proposed(dev: config.Config, table: Prices) -> None:
    made = planned(dev, Corpus(1000))
    found = estimate.others(made, ["ml.g5.xlarge", "ml.p5e.48xlarge"], table)
    assert [each.instance_type for each in found] == ["ml.g5.xlarge"]  # the other has no price


@pytest.mark.parametrize("instance_type", instances.TYPES)
def test_every_instance_type_has_a_speed(instance_type: str) -> None:
    assert speed.of(instance_type).tokens > 1000


def test_what_costs_something_every_month_is_counted_in_the_templates() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.yaml"))
    made = re.findall(r"^    Type: (AWS::\S+)\n(    Condition: \S+)?", text, re.MULTILINE)
    always = [kind for kind, condition in made if not condition]
    assert always.count("AWS::KMS::Key") == estimate.KEYS
    assert always.count("AWS::SecretsManager::Secret") == estimate.SECRETS
    assert always.count("AWS::EC2::NatGateway") == estimate.NAT_GATEWAYS


def test_the_example_of_the_page_is_what_the_estimate_gives(
    dev: config.Config, table: Prices
) -> None:
    """docs/cost.md has the hours with every table of prices, and the dollars with the first."""
    page = (TEMPLATES.parents[1] / "docs" / "cost.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (ml\.\S+) \| (\w+) \| ([0-9.]+) \| ([0-9.]+) \|$", page, re.MULTILINE)
    made = planned(dev, Corpus(1000), MaxSteps=-1, Epochs=3, EvalSteps=500)
    found = estimate.others(made, [row[0] for row in rows], table)
    hours = {each.instance_type: (each.gpu, f"{each.hours:.2f}") for each in found}
    assert {row[0]: (row[1], row[2]) for row in rows} == hours
    assert len(rows) >= 4
    if f"{table.as_of}" == "2026-11-29":
        dollars = {each.instance_type: f"{each.dollars:.2f}" for each in found}
        assert {row[0]: row[3] for row in rows} == dollars
