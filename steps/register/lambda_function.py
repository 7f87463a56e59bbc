"""The worker as a Lambda function: `steps.register.lambda_function.handler`.

The event source mapping must have ReportBatchItemFailures and a batch size of 1. The function's
time-out must be at least the lease's duration, and the queue's visibility time-out six times that
(AWS's advice). The answer names the messages that are not done, so SQS keeps them.
"""

import os
import threading
from typing import Any

from steps.governance.logs import configure
from steps.register.arguments import from_environment
from steps.register.delivery.fate import Fate
from steps.register.delivery.queue import Delivery
from steps.register.worker import Worker

_worker: Worker | None = None


def handler(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:
    """Handle each record. Messages that are named in the answer stay in the queue."""
    worker = _connected()
    failures = [
        {"itemIdentifier": record["messageId"]}
        for record in event["Records"]
        if worker.handle(Delivery.from_lambda(record)) is not Fate.DELETE
    ]
    return {"batchItemFailures": failures}


def _connected() -> Worker:
    """Return the worker of this Lambda instance. Connecting reads a secret and gets a token."""
    global _worker
    if _worker is None:
        configure("register")
        _worker = Worker(from_environment(os.environ), threading.Event())
    return _worker
