"""The embedded environment's own subscriber: a line for each kind of notification, as it arrives.

The account is the real one, with the cloud's template; `Started` is over it without a workspace.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local.host.servers import Servers
from pipeline.local.host.state import Record, State
from pipeline.local.notifications import mailbox
from pipeline.local.notifications.bulletin import Bulletin
from pipeline.local.notifications.mailbox import Mailbox
from pipeline.local.notifications.notice import Notice
from pipeline.local.setup import aws_account
from pipeline.local.started import Started
from tests.local.aws.support.server import Server, eventually

pytestmark = pytest.mark.environment
_PRINCIPALS = ("APPROVER", "AUDITOR", "PREPARE", "RECONCILER", "REGISTER", "SCIENTIST", "TRAIN")
_ID = "11111111-1111-4111-8111-111111111111"


def started(server: Server) -> Started:
    """The running environment, as far as the account goes."""
    variables = {f"{name}_CLIENT_ID": _ID for name in _PRINCIPALS} | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_REGION": "us-east-1",
        "BASE_MODEL_REVISION": "0" * 40,
        "DATABRICKS_HOST": "http://127.0.0.1:9",
        "DATABRICKS_IDENTITY": "secret",
        "EMR_APPLICATION_ID": server.outputs["ApplicationId"],
        "REGISTER_QUEUE_URL": server.outputs["RegisterQueueUrl"],
    }
    state = State(server.state)
    variables |= aws_account.root(state, server.endpoint).public_keys(server.outputs)
    return Started(state, Servers(state, Record({"aws": server.port}, variables=variables)), False)


@pytest.fixture(scope="module")
def running(server: Server) -> Iterator[Started]:
    found = started(server)
    mailbox.opened(found)  # from now on nothing is missed; the tests share the account
    yield found
    topic = mailbox._TOPIC
    for each in server.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        server.client("sns").unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    server.client("sqs").delete_queue(
        QueueUrl=server.client("sqs").get_queue_url(QueueName=mailbox._QUEUE)["QueueUrl"]
    )


@pytest.fixture
def box(running: Started) -> Mailbox:
    return mailbox.opened(running)


def about(box: Mailbox, arn: str) -> Notice:
    """The one notice about an execution, once it is there."""
    found = [each for each in box.until_ended(arn) if each.execution == arn]
    assert len(found) == 1, found
    return found[0]


def test_a_registration_is_shown_with_its_version(server: Server, box: Mailbox) -> None:
    arn = server.start_execution()
    (message,) = server.messages(arn)
    server.answer(message["token"])
    assert server.finished(arn) == "Succeeded"
    name = arn.rpartition("/")[2]
    assert about(box, arn).lines == (
        f"notice      Registered: models:/a.b.c/1, by execution {name}\n"
        f"            python -m pipeline.report --env local --execution {name}"
    )


def test_a_rejection_is_shown_as_one_with_its_reason(server: Server, box: Mailbox) -> None:
    arn = server.start_execution(MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    first, second = about(box, arn).lines.splitlines()
    name = arn.rpartition("/")[2]
    assert first == (f"notice      Rejected: execution {name}: eval loss 2.5 is not within 0.01")
    assert second.strip() == f"python -m pipeline.report --env local --execution {name}"


def test_a_failure_is_shown_with_the_step_that_failed(server: Server, box: Mailbox) -> None:
    arn = server.start_execution(Prepare="crash no such table")
    assert server.finished(arn) == "Failed"
    found = about(box, arn)
    assert found.kind == "Failed"
    assert ": Prepare: " in found.text


def test_a_stop_is_shown(server: Server, box: Mailbox) -> None:
    arn = server.start_execution()
    server.client("sagemaker", "scientist").stop_pipeline_execution(PipelineExecutionArn=arn)
    assert server.finished(arn) == "Stopped"
    assert about(box, arn).kind == "Stopped"


@pytest.fixture
def sooner(server: Server) -> Iterator[None]:
    """The deployed alarm of a registration that waits, again, after a second."""
    alarms = server.client("cloudwatch")
    deployed = alarms.describe_alarms(AlarmNames=["governed-finetune-local-register-waits"])
    (ours,) = deployed["MetricAlarms"]
    assert ours["Threshold"] == 120
    assert "for 120 s" in ours["AlarmDescription"]
    same = (
        *("Namespace", "MetricName", "Dimensions", "Statistic", "EvaluationPeriods"),
        *("ComparisonOperator", "TreatMissingData", "AlarmActions", "OKActions"),
        "AlarmDescription",
    )
    kept = {name: ours[name] for name in same}
    alarms.put_metric_alarm(AlarmName="sooner-register-waits", Threshold=1, Period=10, **kept)
    yield
    alarms.delete_alarms(AlarmNames=["sooner-register-waits"])


@pytest.mark.usefixtures("sooner")
def test_a_register_that_waits_is_shown_with_what_it_waits_for(
    server: Server, box: Mailbox
) -> None:
    arn = server.start_execution()
    server.eventually(lambda: "Register" in server.steps(arn), 40)
    why = "the workspace gave no answer; the next try is in 60 s"
    server.client("sagemaker", "register").update_pipeline_execution(
        PipelineExecutionArn=arn, PipelineExecutionDescription=f"Register waits: {why}"
    )
    found: list[Notice] = []

    def shown() -> list[str]:
        found.extend(each for each in box.new() if each.kind.startswith("Register waits"))
        return [each.kind for each in found]

    eventually(lambda: shown() == ["Register waits"], 30)
    assert f"execution {arn.rpartition('/')[2]}  Register: {why}" in found[0].text
    (message,) = server.messages(arn)  # also deletes it
    server.answer(message["token"])
    eventually(lambda: shown() == ["Register waits", "Register waits no more"], 40)


def test_two_readers_both_see_a_notice_and_a_second_command_sees_it_as_old(
    server: Server, running: Started, box: Mailbox
) -> None:
    other = mailbox.opened(running)
    arn = server.start_execution(MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    assert about(box, arn) == about(other, arn)
    later = mailbox.opened(running)
    assert later.new() == []
    assert later.last(1)[0].execution == arn


def test_a_message_that_comes_twice_is_one_notice(
    server: Server, running: Started, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = server.start_execution(MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    sqs, url = server.client("sqs"), box._url
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    with monkeypatch.context() as patch:  # the deletion is lost
        patch.setattr(box._sqs, "delete_message", lambda **_: None)
        about(box, arn)
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    kinds = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    assert sum(int(counted[kind]) for kind in kinds) == 1  # it comes again
    assert box.new(wait_seconds=3) == []
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert sum(int(counted[kind]) for kind in kinds) == 0
    assert len([each for each in box.last() if each.execution == arn]) == 1


def test_without_the_account_a_command_goes_on_with_one_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: Server
) -> None:
    alone = started(server)
    alone.servers.record.ports["aws"] = 9  # nothing listens there
    bulletin = Bulletin(alone)
    bulletin.show()
    bulletin.follow()
    assert bulletin.last() == []
    (line,) = capsys.readouterr().err.splitlines()[:1]
    assert line.startswith("notifications are not known: ")
