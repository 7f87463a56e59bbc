"""A layer as a change set: what it lacks is planned, and why it failed is reported."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.bootstrap import layers
from pipeline.bootstrap.change import Part, carried_out
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.errors import Refused
from tests.local.aws.pipelines.test_tags import VARIABLES
from tests.local.aws.support.server import Server

pytestmark = pytest.mark.environment
IDENTITY = layers.deployed_layers.FOLDER / "identity.yaml"
QUEUE = """
Parameters:
  Mode: {Type: String}
Resources:
  First:
    Type: AWS::SQS::Queue
    Properties: {QueueName: change-set-first}
  Second:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: change-set
      Roles: [no-such-role]
      PolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Deny, Action: "sqs:PurgeQueue", Resource: "*"}]
  Kept:
    Type: AWS::Logs::LogGroup
    DeletionPolicy: Retain
    Properties: {LogGroupName: /change-set/kept, RetentionInDays: 30}
Outputs:
  Told: {Value: !Ref First}
"""


@pytest.fixture
def configured() -> Config:
    return config.load("local", environ=VARIABLES)


def stacks(server: Server, configured: Config, **given: str) -> layers.Stacks:
    return layers.Stacks(server.client("cloudformation"), configured, given)


def carried(new: Any, *, plan: bool) -> list[Any]:
    return carried_out([Part("layer", "me", lambda: new)], plan=plan, show=lambda change: None)


def test_a_plan_names_the_parameters_that_only_a_person_can_state(
    server: Server, configured: Config
) -> None:
    """A run ends at them before anything is made; what earlier changes give is not asked for."""
    empty = stacks(server, configured, ScientistPrincipalArn="arn:aws:iam::000000000000:root")
    empty.promised |= {"DatabricksExternalId", "DatabricksPrincipalArn"}
    asked, stack = carried(layers._new(empty, "x-identity", IDENTITY), plan=True)
    assert (asked.sign, asked.stops, stack.what) == ("!", True, "stack x-identity")
    assert asked.what == "conf/infrastructure/parameters/local.yaml: parameters of stack x-identity"
    assert any("AuditorPrincipalArn: Who assumes auditor" in line for line in asked.details)
    assert not any("Scientist" in line or "External" in line for line in asked.details)
    (only,) = carried(layers._new(empty, "x-identity", IDENTITY), plan=False)
    assert only == asked
    assert layers.deployed_layers.stack(empty.cloudformation, "x-identity") is None


def test_outputs_of_a_planned_layer_are_promised_to_the_later_ones(
    server: Server, configured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first.yaml").write_text(QUEUE)
    later = QUEUE.replace("Mode:", "Told:").replace("  Told: {Value", "  More: {Value")
    (tmp_path / "later.yaml").write_text(later)
    monkeypatch.setattr(layers.deployed_layers, "FOLDER", tmp_path)
    some = stacks(server, configured, Mode="a")
    planned = [
        each
        for name in ("first", "later")
        for each in carried(layers.changes(some, name), plan=True)
    ]
    assert [each.sign for each in planned] == ["+", "+"]
    (asked, _) = carried(layers.changes(stacks(server, configured), "later"), plan=True)
    assert asked.sign == "!"


def test_a_new_stack_that_failed_is_gone_and_its_first_failure_is_reported(
    server: Server, configured: Config, tmp_path: Path
) -> None:
    """CloudFormation deletes it, so its events are found by its id alone."""
    file = tmp_path / "failing.yaml"
    file.write_text(QUEUE)
    some = stacks(server, configured, Mode="a")
    with pytest.raises(Refused, match="stack x-failing: Second: "):
        carried(layers._new(some, "x-failing", file), plan=False)
    assert layers.deployed_layers.stack(some.cloudformation, "x-failing") is None
    logs = server.client("logs")
    found = logs.describe_log_groups(logGroupNamePrefix="/change-set/")["logGroups"]
    assert found == [], "a failed creation retains nothing, so the next one can make it"


def test_a_retained_log_group_is_taken_over_by_the_next_stack(
    server: Server, configured: Config, tmp_path: Path
) -> None:
    file = tmp_path / "again.yaml"
    file.write_text(QUEUE.replace("no-such-role", "governed-finetune-local-ci"))
    some, logs = stacks(server, configured, Mode="a"), server.client("logs")
    for number in range(2):
        carried(layers._new(some, "x-again", file), plan=False)
        logs.create_log_stream(logGroupName="/change-set/kept", logStreamName=f"of-{number}")
        some.cloudformation.delete_stack(StackName="x-again")
        some.cloudformation.get_waiter("stack_delete_complete").wait(
            StackName="x-again", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )
    streams = logs.describe_log_streams(logGroupName="/change-set/kept")["logStreams"]
    assert [each["logStreamName"] for each in streams] == ["of-0", "of-1"]
    logs.delete_log_group(logGroupName="/change-set/kept")
