"""`python -m pipeline.cost`: the estimate, the bill of an execution, and what it refuses."""

import json
from typing import Any

import pytest

from pipeline import command
from pipeline.configuration import config
from pipeline.cost import __main__ as cost
from pipeline.cost import billed, prices
from pipeline.deployment import deploy
from pipeline.errors import Refused
from pipeline.execution import start
from tests.pipeline.execution import steps


def test_an_estimate_names_the_arithmetic_and_a_cheaper_instance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.ended(cost.main, ["--env", "dev", "--filings", "1000"]) == 0
    printed = capsys.readouterr()
    assert "1 × ml.g5.16xlarge at $5.120" in printed.out
    assert "cheaper: --set TrainInstanceType=ml." in printed.out
    assert "prices of 20" in printed.err


def test_the_parts_of_an_estimate_sum_to_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "dev", "--filings", "1000", "--json"]
    assert command.ended(cost.main, words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {line["what"] for line in answer["estimate"]} == {"Prepare", "Train", "storage"}
    command.ended(cost.main, words[:-1])
    together = sum(line["dollars"] for line in answer["estimate"])
    assert f"together     {together:9.2f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "of how many filings?"),
        (["--filings", "10", "--set", "LoraRnk=8"], "did you mean 'LoraRank'?"),
        (["--filings", "10", "--set", "Epochs=1_0"], "expected a whole number"),
        (["--filings", "10", "--set", "TrainInstanceType=ml.t3.small"], "expected one of"),
    ],
)
def test_a_wrong_question_is_one_message(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.ended(cost.main, ["--env", "dev", *words]) == 2
    assert reason in capsys.readouterr().err


def test_an_instance_without_a_price_has_hours_and_no_dollars(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--env", "dev", "--filings", "10", "--set", "TrainInstanceType=ml.p6-b200.48xlarge"]
    assert command.ended(cost.main, words) == 0
    shown = capsys.readouterr().out
    assert "price of ml.p6-b200.48xlarge not known: fetch it with `pipeline.cost --ref" in shown
    assert "together     not known" in shown
    assert command.ended(cost.main, [*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (train,) = [line for line in document["estimate"] if line["what"] == "Train"]
    assert train["dollars"] is None


@pytest.mark.parametrize("count", ["0", "-1", "1e3", "٣", "1_0", ""])
def test_a_count_is_a_whole_number(count: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        cost.main(["--env", "dev", "--filings", count])


def test_a_model_of_unknown_speed_is_refused(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command.ended(cost.main, ["--env", "local", "--filings", "9"]) == 2
    assert "the speeds are known for Ministral-3-3B only" in capsys.readouterr().err


@pytest.fixture
def execution(service: Any, configured: config.Config, client: Any, compiled: str) -> str:
    """An execution whose training job has ended."""
    deploy.deploy(configured, client, compiled)
    service.moments = [{"status": "Succeeded", "steps": [steps.PASSED, steps.TRAINED]}]
    service.jobs[steps.JOB.rsplit("/", 1)[-1]] = {
        "ResourceConfig": {"InstanceType": "ml.g5.2xlarge", "InstanceCount": 2},
        "BillableTimeInSeconds": 1800,
    }
    return start.start(configured, client, {}, token="one").rsplit("/", 1)[-1]


def test_a_bill_is_the_billed_seconds_of_every_host(
    execution: str, configured: config.Config
) -> None:
    (line,) = billed.lines(configured, execution, prices.read(prices.PATH))
    assert line.what == "Train"
    assert line.dollars == pytest.approx(0.5 * 2 * 1.515)


def test_an_execution_without_an_ended_job_has_no_bill(
    service: Any, execution: str, configured: config.Config
) -> None:
    service.moments = [{"status": "Executing", "steps": [steps.TRAINING]}]
    service.jobs[steps.JOB.rsplit("/", 1)[-1]].pop("BillableTimeInSeconds")
    with pytest.raises(Refused, match=r"no job of .* has ended"):
        billed.lines(configured, execution, prices.read(prices.PATH))


def test_an_execution_that_does_not_exist_is_refused(
    execution: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--env", "local", "--execution", "nosuch", "--json"]
    assert command.ended(cost.main, words) == 1
    assert "does not exist" in capsys.readouterr().err
