"""The age of the oldest registration that waits, which SQS sends to CloudWatch in an account.

    task = asyncio.create_task(queue_age.measured())      # until it is cancelled

The alarm `register-waits` of conf/infrastructure/watch.yaml reads it. ministack judges alarms when
somebody sends a metric, and takes all dimensions of a metric together. So only the queues that such
an alarm names are measured. While nothing waits nothing is sent, except 0 to an alarm that is to
end.
"""

import asyncio
import time
from typing import Any

SECONDS = 5.0  # between two measurements; SQS has 60
_NAMESPACE, _METRIC = "AWS/SQS", "ApproximateAgeOfOldestMessage"


async def measured() -> None:
    """Measure and judge again and again."""
    while True:
        await asyncio.sleep(SECONDS)
        measure()


def measure() -> None:
    """Send the age for each queue that an alarm watches, and let the alarms be judged."""
    from ministack.services import cloudwatch

    sent = False
    for alarm in cloudwatch._alarms.values():
        if (alarm.get("Namespace"), alarm.get("MetricName")) != (_NAMESPACE, _METRIC):
            continue
        names = [each["Value"] for each in alarm["Dimensions"] if each["Name"] == "QueueName"]
        for name in names:
            age = _age(name)
            if age or alarm["StateValue"] == "ALARM":
                cloudwatch.record_metric(
                    _NAMESPACE, _METRIC, age, unit="Seconds", dimensions={"QueueName": name}
                )
                sent = True
    if sent:
        cloudwatch._evaluate_all_alarms()


def _age(name: str) -> float:
    """Return the seconds since the oldest message was sent that nobody deleted; 0 without one."""
    from ministack.services import sqs

    queues: Any = sqs._queues
    sent = [
        message["sent_at"]
        for queue in queues.values()
        if queue["name"] == name
        for message in queue["messages"]
    ]
    return max(0.0, time.time() - min(sent)) if sent else 0.0
