"""The worker as a Lambda function: `steps.register.lambda_function.handler`.

The event source mapping must have ReportBatchItemFailures and a batch size of 1. The function's
time-out must be at least the lease's duration, and the queue's visibility time-out six times that
(AWS's advice). The answer names the messages that are not done, so SQS keeps them.

A cold start whose connection fails (a secret that is gone, a workspace that does not answer) is an
ALERT line in the log. The queue counts it as a receive, so each such message is hidden longer than
the one before: ten of them last 7 hours, and no step loses its message before a person has looked.
"""

import logging
import os
import threading
from collections.abc import Iterable
from typing import Any

from steps.governance.alerts import Alert, alert
from steps.governance.errors import GovernanceError
from steps.governance.logs import configure, worker_name
from steps.register.arguments import from_environment
from steps.register.delivery.failures import reason, unforeseen
from steps.register.delivery.fate import Fate
from steps.register.delivery.queue import Delivery, Queue
from steps.register.life.heartbeat import beating, heartbeat_of
from steps.register.life.vital_signs import VitalSigns
from steps.register.worker import Worker

log = logging.getLogger(__name__)

_CONNECTING_SECONDS = 30.0  # a function that runs into its time-out could not log the reason
_PAUSE_SECONDS = 60  # after the first receive; doubled with each, so that ten last 7 hours
_MAX_PAUSE_SECONDS = 3 * 60 * 60

_worker: Worker | None = None
_signs = VitalSigns()


def handler(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:
    """Handle each record. Messages that are named in the answer stay in the queue."""
    try:
        worker = _connected()
    except Exception as error:  # noqa: BLE001 - any of them would burn a receive without an ALERT
        return _not_connected(event["Records"], error)
    return _failures(record for record in event["Records"] if not _done(worker, record))


def _done(worker: Worker, record: dict[str, Any]) -> bool:
    """Handle one record, with a heartbeat meanwhile: between messages no function runs."""
    delivery = Delivery.from_lambda(record)
    heartbeat = heartbeat_of(from_environment(os.environ))
    with _signs.working(delivery.body), beating(_signs, heartbeat):
        return worker.handle(delivery) is Fate.DELETE


def _connected() -> Worker:
    """Return the worker of this Lambda instance. Connecting reads a secret and gets a token."""
    global _worker
    if _worker is None:
        configure("register", job=worker_name())
        arguments = from_environment(os.environ)
        _worker = Worker(arguments, threading.Event(), connecting_seconds=_CONNECTING_SECONDS)
    return _worker


def _not_connected(
    records: list[dict[str, Any]], error: Exception
) -> dict[str, list[dict[str, str]]]:
    deliveries = [Delivery.from_lambda(record) for record in records]
    alert(
        Alert.WORKER_CANNOT_CONNECT,
        "the register worker cannot connect, at receive %s of its message: %s",
        ", ".join(str(delivery.attempt) for delivery in deliveries),
        reason(error),
        trace=unforeseen(error),
    )
    try:
        arguments = from_environment(os.environ)
        queue = Queue(
            arguments.queue_url,
            arguments.region,
            visibility_seconds=arguments.visibility_seconds,
        )
        for delivery in deliveries:
            queue.give_back(delivery, after_seconds=_pause(delivery))
    except GovernanceError as failure:
        log.warning("the message stays hidden for the queue's own time-out: %s", failure)
    return _failures(records)


def _pause(delivery: Delivery) -> int:
    return min(_PAUSE_SECONDS << min(delivery.attempt - 1, 16), _MAX_PAUSE_SECONDS)


def _failures(records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """Return the answer that keeps these records in the queue."""
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}
