"""The driver against torch's build: known from the Dockerfile, and from jobs that ended."""

import inspect
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from pipeline.configuration import config as configuration
from pipeline.configuration import instances
from pipeline.configuration.config import Config
from pipeline.doctor import drivers
from pipeline.doctor.check import MISSING, OK, UNKNOWN, Check
from steps.train.distributed import required_gpu

INSTANCE = "ml.g5.16xlarge"
SEEN = f"AlgorithmError: this job runs on {INSTANCE}, and torch cannot use its GPU, exit code: 2"


def jobs(image: str, *found: dict[str, Any]) -> Any:
    client = boto3.client("sagemaker", region_name="us-east-1")
    stubbed = Stubber(client)
    wanted = {"Name": "AlgorithmSpecification.TrainingImage", "Operator": "Equals", "Value": image}
    stubbed.add_response(
        "search",
        {"Results": [{"TrainingJob": job} for job in found]},
        {
            "Resource": "TrainingJob",
            "SearchExpression": {"Filters": [wanted]},
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": 50,
        },
    )
    stubbed.activate()
    return lambda name: client


def job(status: str, reason: str = "", instance: str = INSTANCE) -> dict[str, Any]:
    found = {"TrainingJobStatus": status, "ResourceConfig": {"InstanceType": instance}}
    return found | ({"FailureReason": reason} if reason else {})


@pytest.fixture
def dev() -> Config:
    return configuration.load("dev")


def driver(config: Config, *found: dict[str, Any]) -> Check:
    return list(drivers.checked(config, jobs(config.train.image, *found)))[-1]


def test_before_the_first_job_the_driver_is_unknown_and_the_least_one_is_named(dev: Config) -> None:
    found = driver(dev)
    assert (found.name, found.state) == (f"driver of {INSTANCE}", UNKNOWN)
    assert found.expected == "580 or newer, for torch 2.13.0 (CUDA 13.0)"
    assert "--set MaxSteps=1" in found.fix


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        ([job("Completed")], OK),
        ([job("Failed", SEEN)], MISSING),
        ([job("Failed", "AlgorithmError: full disk")], UNKNOWN),
        ([job("Completed", instance="ml.g6.xlarge")], UNKNOWN),
        ([job("Failed", "AlgorithmError: full disk"), job("Completed")], OK),
        ([job("Failed", SEEN), job("Completed")], MISSING),  # the newest decides
    ],
)
def test_a_job_of_this_image_and_type_is_the_proof(
    dev: Config, ended: list[dict[str, Any]], state: str
) -> None:
    found = driver(dev, *ended)
    assert found.state == state
    if state == MISSING:
        assert found.found == SEEN
        assert "containers/train/Dockerfile" in found.fix


def test_the_reason_is_the_one_that_train_gives() -> None:
    assert drivers.REFUSED in inspect.getsource(required_gpu.require)


@pytest.mark.parametrize(
    ("line", "version", "cuda"),
    [
        ("ARG TORCH=torch==2.13.0+cu126", "2.13.0+cu126", (12, 6)),
        ("ARG TORCH=torch==2.13.0+cu130", "2.13.0+cu130", (13, 0)),
        ("ARG TORCH=torch==2.13.0", "2.13.0", (13, 0)),
        ("ARG TORCH=torch==9.0.0", "9.0.0", None),
        ("RUN true", "without ARG TORCH", None),
    ],
)
def test_the_cuda_of_a_wheel_is_in_its_name_or_in_the_table(
    line: str, version: str, cuda: Any
) -> None:
    assert drivers.build(f"FROM x\n{line}\n") == (version, cuda)


def test_the_dockerfile_names_a_wheel_whose_cuda_is_known() -> None:
    assert drivers.build(drivers.DOCKERFILE.read_text())[1]


def test_a_wheel_that_is_older_than_the_card_is_missing(
    dev: Config, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "DOCKERFILE", tmp_path / "Dockerfile")
    (tmp_path / "Dockerfile").write_text("ARG TORCH=torch==2.13.0+cu126\n")
    new = replace(dev, parameters=dict(dev.parameters) | {"TrainInstanceType": "ml.g7e.2xlarge"})
    card, least = drivers.checked(new, jobs(dev.train.image))
    assert (card.state, card.expected) == (MISSING, "CUDA 12.8 or newer")
    assert card.found == "torch 2.13.0+cu126, built for CUDA 12.6"
    assert least.expected.startswith("525 or newer")
    old, _ = drivers.checked(dev, jobs(dev.train.image))
    assert old.state == OK


@pytest.mark.parametrize("wheel", ["9.0.0", "9.0.0+cu990"])
def test_a_wheel_of_unknown_cuda_is_unknown(
    wheel: str, dev: Config, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "DOCKERFILE", tmp_path / "Dockerfile")
    (tmp_path / "Dockerfile").write_text(f"ARG TORCH=torch=={wheel}\n")
    (only,) = drivers.checked(dev, lambda name: None)
    assert (only.state, only.expected) == (UNKNOWN, f"the CUDA of torch {wheel}")


def test_every_card_since_ada_has_its_oldest_cuda() -> None:
    cards = {instances.capability(one) for one in instances.TYPES}
    assert {one for one in cards if one >= (8, 9)} == set(drivers._OLDEST_CUDA)
