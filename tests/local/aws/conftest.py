"""Embedded accounts: the real server, the cloud's own template, tiny programs instead of images."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.aws.support.server import PIPELINE, Server, make_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the stack and the pipeline deployed, shared by tests that do not stop it."""
    found = make_server(tmp_path_factory.mktemp("account"))
    found.start()
    try:
        found.deploy()
        found.client("sagemaker", "ci").create_pipeline(
            PipelineName=PIPELINE,
            PipelineDefinition=json.dumps(found.definition()),
            RoleArn=found.outputs["PipelineRoleArn"],
        )
        yield found
    finally:
        found.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may stop, kill and start again."""
    found = make_server(tmp_path)
    found.start()
    found.deploy()
    found.client("sagemaker", "ci").create_pipeline(
        PipelineName=PIPELINE,
        PipelineDefinition=json.dumps(found.definition()),
        RoleArn=found.outputs["PipelineRoleArn"],
    )
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Server]:
    """A server that is not started yet, and has nothing deployed."""
    found = make_server(tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()


@pytest.fixture
def job_name() -> str:
    """A name that no other job has."""
    return f"pipelines-test-{uuid.uuid4().hex[:12]}"
