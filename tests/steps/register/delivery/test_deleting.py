"""A message that is gone is deleted: a lost answer to the deletion ends no worker."""

import pytest

from steps.governance import aws
from steps.governance.errors import GovernanceError
from steps.register.delivery.queue import Queue
from tests.steps.register.support.executions import Execution

pytestmark = [pytest.mark.environment, pytest.mark.usefixtures("worker_environment")]


def test_a_message_that_is_gone_counts_as_deleted(execution: Execution) -> None:
    """As after an answer that was lost: botocore sends the deletion again."""
    queue = Queue(execution.queue_url, "us-east-1", visibility_seconds=30)
    execution.send()
    delivery = queue.receive()
    assert delivery is not None
    for _ in range(2):
        queue.delete(delivery)
    assert not execution.waiting()


def test_another_refusal_of_a_deletion_is_raised(execution: Execution) -> None:
    with pytest.raises(GovernanceError, match="delete a message"):
        aws.delete_message(aws.client("sqs", "us-east-1"), execution.queue_url + "-absent", "a")
