"""The doctor on an account with every option: all is in order, and what is taken or stopped is
named, and nothing else.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.doctor import layers
from pipeline.doctor.check import MISSING, OK
from tests.local.aws.support.server import Server

pytestmark = pytest.mark.environment
NAME = "governed-finetune-local"
SERVICE = {"cluster": NAME, "service": f"{NAME}-register"}
SECRET = f"{NAME}/databricks/train"
Change = Callable[[Server], Any]


def wrong(whole: Server, config: Any) -> dict[str, str]:
    """The checks that are not in order, with the state of each."""
    found = layers.checked(config, whole.client)
    return {check.name: check.state for check in found if check.state != OK}


def test_an_account_with_every_option_is_in_order(whole: Server, config: Any) -> None:
    assert wrong(whole, config) == {}


def _selectors(whole: Server, selectors: Any) -> None:
    whole.client("cloudtrail").put_event_selectors(TrailName=NAME, AdvancedEventSelectors=selectors)


def _trail(call: str, **more: Any) -> Change:
    return lambda whole: getattr(whole.client("cloudtrail"), call)(Name=NAME, **more)


def _count(number: int) -> Change:
    return lambda whole: whole.client("ecs").update_service(**SERVICE, desiredCount=number)


def _rotation(days: int) -> Change:
    rules = {"AutomaticallyAfterDays": days}
    return lambda whole: _rotate(whole, RotationRules=rules)


def _rotate(whole: Server, **more: Any) -> None:
    """Change the schedule. The embedded RotateSecret promotes a copy, which changes nothing."""
    whole.client("secretsmanager").rotate_secret(SecretId=SECRET, **more)


def _key(whole: Server, function: str) -> None:
    whole.client("secretsmanager").rotate_secret(SecretId=SECRET, RotationLambdaARN=function)


def _management(whole: Server) -> Any:
    """The selectors without the objects of the buckets."""
    found = whole.client("cloudtrail").get_event_selectors(TrailName=NAME)
    return [each for each in found["AdvancedEventSelectors"] if "Management" in each["Name"]]


def _without_objects(whole: Server) -> None:
    _selectors(whole, _management(whole))


def _with_objects(whole: Server) -> None:
    buckets = ("governed", "evidence", "artifacts")
    arns = [f"arn:aws:s3:::{NAME}-{each}-000000000000-us-east-1/" for each in buckets]
    objects = [
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
        {"Field": "resources.ARN", "StartsWith": arns},
    ]
    named = {"Name": "Objects of the three buckets", "FieldSelectors": objects}
    _selectors(whole, [*_management(whole), named])


@pytest.mark.parametrize(
    ("take", "put_back", "named"),
    [
        (_trail("stop_logging"), _trail("start_logging"), "CloudTrail::Trail Trail: writes"),
        (
            _trail("update_trail", EnableLogFileValidation=False),
            _trail("update_trail", EnableLogFileValidation=True),
            "CloudTrail::Trail Trail: validation of its files",
        ),
        (
            _trail("update_trail", IsMultiRegionTrail=False),
            _trail("update_trail", IsMultiRegionTrail=True),
            "CloudTrail::Trail Trail: every region",
        ),
        (_without_objects, _with_objects, "CloudTrail::Trail Trail: events"),
        (_rotation(400), _rotation(60), "SecretsManager::RotationSchedule TrainRotation: days"),
    ],
    ids=["stopped", "unsigned", "one region", "no objects", "rotated later"],
)
def test_what_was_changed_is_named(
    whole: Server, config: Any, take: Change, put_back: Change, named: str
) -> None:
    take(whole)
    try:
        assert wrong(whole, config) == {named: MISSING}
    finally:
        put_back(whole)
    assert wrong(whole, config) == {}


def test_a_worker_of_no_task_is_named(whole: Server, config: Any) -> None:
    _count(0)(whole)
    try:
        found = wrong(whole, config)
    finally:
        _count(1)(whole)
    service = "ECS::Service WorkerService"
    assert found == {f"{service}: tasks": MISSING, f"{service}: running": MISSING}
    assert wrong(whole, config) == {}


def test_a_function_that_its_service_may_not_call_is_named(whole: Server, config: Any) -> None:
    functions, name = whole.client("lambda"), f"{NAME}-rotation"
    (statement,) = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    functions.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    try:
        found = wrong(whole, config)
    finally:
        functions.add_permission(
            FunctionName=name,
            StatementId=statement["Sid"],
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
            SourceAccount="000000000000",
        )
    named = "Lambda::Permission RotationPermission: secretsmanager.amazonaws.com"
    assert found == {named: MISSING}
    assert wrong(whole, config) == {}
