"""The principals' secrets: their age is seen without their values, a failed rotation is sent."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.rights import PRINCIPALS
from steps.governance import aws
from steps.governance.errors import GovernanceError
from steps.governance.rotation import age
from tests.local.aws.rights.names import OPTIONAL
from tests.local.aws.rights.test_rights_table import wrong_decisions
from tests.local.aws.support.server import Server

pytestmark = pytest.mark.environment
NAME = "governed-finetune-local"
SECRETS = f"{NAME}/databricks/"


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_a_role_of_an_option_has_the_rights_of_its_column_and_no_other(
    whole: Server, name: str
) -> None:
    whole.outputs["ApplicationId"] = application(whole)
    assert wrong_decisions(whole, name) == []


def application(whole: Server) -> str:
    (found,) = whole.client("emr-serverless").list_applications()["applications"]
    return str(found["id"])


def function(whole: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = whole.client("lambda").get_function_configuration(
        FunctionName=f"{NAME}-{name}"
    )
    return found


def test_the_function_of_age_gets_the_names_of_the_principals(whole: Server) -> None:
    given = function(whole, "secret-age")["Environment"]["Variables"]
    assert given["PRINCIPALS"].split(",") == list(PRINCIPALS)
    assert (given["SECRETS"], given["PIPELINE_NAME"]) == (SECRETS, NAME)


def test_the_age_is_of_the_version_in_use_and_needs_no_value(
    whole: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, store = whole.client("secretsmanager"), whole.client("secretsmanager", "secret-age")
    root.put_secret_value(SecretId=f"{SECRETS}train", SecretString="{}")
    with pytest.raises(ClientError, match="AccessDenied"):
        store.get_secret_value(SecretId=f"{SECRETS}train")
    later = datetime.now(UTC) + timedelta(days=151)
    found = age.of(store, [f"{SECRETS}train"], later)
    assert found[f"{SECRETS}train"] == pytest.approx(151, abs=0.01)
    given = function(whole, "secret-age")["Environment"]["Variables"]
    for key, value in {**given, "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(aws, "client", lambda service, region: store)
    ages = age.handler({}, None)
    assert f"{SECRETS}train" in ages
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "_aws" in each]
    assert json.loads(line)[age.METRIC] == pytest.approx(max(ages.values()), abs=0.01)


def test_a_secret_that_is_gone_is_an_error_and_not_young(whole: Server) -> None:
    store = whole.client("secretsmanager", "secret-age")
    with pytest.raises(GovernanceError, match=r"nothing there: .*elsewhere"):
        age.of(store, [f"{SECRETS}elsewhere"], datetime.now(UTC))


def test_the_alarm_is_of_the_metric_that_the_function_writes(whole: Server) -> None:
    (alarm,) = whole.client("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-secrets-age"])[
        "MetricAlarms"
    ]
    output = io.StringIO()
    age.write({"x": 3.0}, NAME, output)
    line = json.loads(output.getvalue())
    (metrics,) = line["_aws"]["CloudWatchMetrics"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (
        metrics["Namespace"],
        metrics["Metrics"][0]["Name"],
    )
    (dimension,) = alarm["Dimensions"]
    assert [[dimension["Name"]]] == metrics["Dimensions"]
    assert line[dimension["Name"]] == dimension["Value"]
    assert alarm["Threshold"] == age.OLD_DAYS
    assert (alarm["TreatMissingData"], alarm["Period"]) == ("breaching", 24 * 3600)
    assert alarm["AlarmActions"] == [whole.outputs["TopicArn"]]


def test_every_principals_secret_is_rotated_by_the_function(whole: Server) -> None:
    rotates = function(whole, "rotation")
    assert rotates["Environment"]["Variables"]["ADMIN_SECRET_ID"] == "bank/databricks-admin"
    store = whole.client("secretsmanager")
    for principal in PRINCIPALS:
        found = store.describe_secret(SecretId=f"{SECRETS}{principal}")
        assert found["RotationEnabled"] is True
        assert found["RotationLambdaARN"] == rotates["FunctionArn"]
        assert found["RotationRules"] == {"AutomaticallyAfterDays": 60}


@pytest.mark.parametrize(
    ("event", "secret", "sent"),
    [
        ("RotationFailed", f"{SECRETS}train-AbCdEf", True),
        ("RotationAbandoned", f"{SECRETS}train-AbCdEf", True),
        ("RotationSucceeded", f"{SECRETS}train-AbCdEf", False),
        ("RotationFailed", "another-AbCdEf", False),
    ],
)
def test_the_topic_gets_a_rotation_that_failed(
    whole: Server, event: str, secret: str, sent: bool
) -> None:
    events = whole.client("events")
    rule = events.describe_rule(Name=f"{NAME}-rotation-failed")
    arn = f"arn:aws:secretsmanager:us-east-1:000000000000:secret:{secret}"
    given = {
        "id": "1",
        "source": "aws.secretsmanager",
        "detail-type": "AWS Service Event via CloudTrail",
        "account": "000000000000",
        "time": "2026-11-30T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {"eventName": event, "additionalEventData": {"SecretId": arn}},
    }
    answer = events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(given))
    assert answer["Result"] is sent
