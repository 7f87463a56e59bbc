"""Each line of the logs goes to a SIEM's destination, where one is named."""

import pytest

from pipeline.doctor import layers
from pipeline.doctor.check import MISSING, OK
from tests.local.aws.options.conftest import SIEM
from tests.local.aws.support.server import Server

pytestmark = pytest.mark.environment
GROUPS = (
    "/aws/sagemaker/TrainingJobs",
    "/aws/emr-serverless",
    "/aws/lambda/governed-finetune-local-register",
    "/ecs/governed-finetune-local-register",
    "/aws/lambda/governed-finetune-local-secrets",
)


@pytest.mark.parametrize("group", GROUPS)
def test_every_line_is_sent_and_a_missing_copy_is_named(
    whole: Server, config: object, group: str
) -> None:
    logs = whole.client("logs")
    (found,) = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    sent = {name: found[name] for name in ("filterName", "filterPattern", "destinationArn")}
    assert (sent["filterPattern"], sent["destinationArn"]) == ("", SIEM)
    logs.put_subscription_filter(
        logGroupName=group, **{**sent, "filterPattern": "ALERT", "destinationArn": SIEM + "-2"}
    )
    changed = {c.name: c.state for c in layers.checked(config, whole.client) if c.state != OK}
    assert sorted(name.rpartition(": ")[2] for name in changed) == ["destination", "pattern"]
    logs.delete_subscription_filter(logGroupName=group, filterName=sent["filterName"])
    try:
        (gone,) = (c for c in layers.checked(config, whole.client) if c.state != OK)
        assert gone.name.startswith("Logs::SubscriptionFilter")
        assert gone.state == MISSING
    finally:
        logs.put_subscription_filter(logGroupName=group, **sent)


def test_without_a_destination_no_line_leaves(server: Server) -> None:
    logs = server.client("logs")
    listed = {each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]}
    assert listed & set(GROUPS)
    for group in listed:
        assert not logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
