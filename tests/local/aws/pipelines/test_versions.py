"""An alias points to one version of the pipeline, and a run of it has that version's definition."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.deployment import aliases, deploy
from pipeline.errors import Refused, UsageError
from pipeline.execution import start
from tests.local.aws.pipelines.test_tags import VARIABLES
from tests.local.aws.support.server import PIPELINE, Server

pytestmark = pytest.mark.environment


@pytest.fixture
def configured() -> Config:
    return config.load("local", environ=VARIABLES)


@pytest.fixture
def three(server: Server) -> Iterator[tuple[Any, str, list[int]]]:
    """Three versions that differ in the bound's default; afterwards the first definition again."""
    ci = server.client("sagemaker", "ci")
    found = ci.describe_pipeline(PipelineName=PIPELINE)
    first = found["PipelineDefinition"]
    ids = []
    for bound in (3.25, 4.25, 5.25):
        tree = json.loads(first)
        for parameter in tree["Parameters"]:
            if parameter["Name"] == "MaxEvalLoss":
                parameter["DefaultValue"] = bound
        answer = ci.update_pipeline(PipelineName=PIPELINE, PipelineDefinition=json.dumps(tree))
        ids.append(answer["PipelineVersionId"])
    yield ci, found["PipelineArn"], ids
    ci.update_pipeline(PipelineName=PIPELINE, PipelineDefinition=first)


def bound(client: Any, **which: Any) -> float:
    definition = client.describe_pipeline(PipelineName=PIPELINE, **which)["PipelineDefinition"]
    (found,) = [
        each["DefaultValue"]
        for each in json.loads(definition)["Parameters"]
        if each["Name"] == "MaxEvalLoss"
    ]
    return float(found)


def test_each_definition_is_a_version_that_can_be_read(three: tuple[Any, str, list[int]]) -> None:
    ci, _, ids = three
    assert ids == list(range(ids[0], ids[0] + 3))
    assert [bound(ci, PipelineVersionId=each) for each in ids] == [3.25, 4.25, 5.25]
    assert bound(ci) == 5.25


def definition_of(client: Any, version: int) -> str:
    found = client.describe_pipeline(PipelineName=PIPELINE, PipelineVersionId=version)
    return str(found["PipelineDefinition"])


def test_upsert_moves_an_alias_to_its_own_version_and_a_second_time_nowhere(
    server: Server, three: tuple[Any, str, list[int]], configured: Config
) -> None:
    ci, arn, ids = three
    wanted = {"arn": arn, "alias": "prod", "definition": definition_of(ci, ids[2])}
    aliases._change(ci, arn, ids[0], Add=["prod", "kept"])
    assert aliases.move(configured, ci, **wanted) == aliases.Moved("prod", ids[2], ids[0])
    assert aliases.move(configured, ci, **wanted) == aliases.Moved("prod", ids[2], ids[2])
    assert bound(ci, PipelineVersionAlias="prod") == 5.25
    assert bound(ci, PipelineVersionAlias="kept") == 3.25
    aliases._change(ci, arn, ids[0], Remove=["kept"])
    aliases._change(ci, arn, ids[2], Remove=["prod"])


def test_an_alias_never_moves_to_what_another_upsert_deployed_in_between(
    server: Server, three: tuple[Any, str, list[int]], configured: Config
) -> None:
    """Ours was the second; the third came from somebody else before our alias moved."""
    ci, arn, ids = three
    ours = json.dumps(json.loads(definition_of(ci, ids[1])), indent=1)
    moved = aliases.move(configured, ci, arn=arn, alias="prod", definition=ours)
    assert moved == aliases.Moved("prod", ids[1], None)
    assert bound(ci, PipelineVersionAlias="prod") == 4.25
    with pytest.raises(Refused, match="the alias stays"):
        aliases.move(configured, ci, arn=arn, alias="prod", definition='{"Steps": []}')
    assert bound(ci, PipelineVersionAlias="prod") == 4.25
    aliases._change(ci, arn, ids[1], Remove=["prod"])


def test_a_run_of_an_alias_has_its_version_though_a_newer_one_is_deployed(
    server: Server, three: tuple[Any, str, list[int]], configured: Config
) -> None:
    ci, arn, ids = three
    aliases._change(ci, arn, ids[1], Add=["prod"])
    scientist = aliases.OfAlias(
        server.client("sagemaker", "scientist"), "prod", environment="local"
    )
    execution = start.start(configured, scientist, {})
    described = scientist.describe_pipeline_execution(PipelineExecutionArn=execution)
    assert described["PipelineVersionId"] == ids[1]
    ran = scientist.describe_pipeline_definition_for_execution(PipelineExecutionArn=execution)
    assert '"DefaultValue": 4.25' in ran["PipelineDefinition"]
    scientist.stop_pipeline_execution(PipelineExecutionArn=execution)
    aliases._change(ci, arn, ids[1], Remove=["prod"])
    assert deploy.describe(configured, ci) is not None


def test_an_alias_that_no_version_has_is_refused_with_the_command(
    server: Server, configured: Config
) -> None:
    scientist = aliases.OfAlias(
        server.client("sagemaker", "scientist"), "none", environment="local"
    )
    with pytest.raises(UsageError, match=r"pipeline\.upsert .*--alias none"):
        start.start(configured, scientist, {})


def test_an_alias_has_one_version_and_only_ci_moves_it(
    server: Server, three: tuple[Any, str, list[int]]
) -> None:
    ci, arn, ids = three
    aliases._change(ci, arn, ids[0], Add=["prod"])
    with pytest.raises(ClientError, match=f"belongs to version {ids[0]}"):
        aliases._change(ci, arn, ids[1], Add=["prod"])
    for role in ("scientist", "pipeline", "train"):
        with pytest.raises(ClientError) as refusal:
            aliases._change(server.client("sagemaker", role), arn, ids[0], Remove=["prod"])
        assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    aliases._change(ci, arn, ids[0], Remove=["prod"])


@pytest.mark.parametrize("alias", ["", "with space", "a/b", "x" * 129])
def test_an_alias_of_another_form_is_a_fault_of_usage(alias: str) -> None:
    with pytest.raises(UsageError):
        aliases.checked(alias)
