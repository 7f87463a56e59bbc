"""The same worker behind a Lambda event source mapping: `steps.register.lambda_function.handler`.

The mapping must have ReportBatchItemFailures and a batch size of 1; the function's time-out must be at least the
lease's life, and the queue's visibility time-out six times that (AWS's advice). Messages that are not done are named
in the answer, so that SQS keeps them.
"""

import os
import threading
from typing import Any

from steps.governance.logs import configure
from steps.register.arguments import from_environment
from steps.register.delivery.queue import Delivery
from steps.register.worker import Fate, Worker

_worker: Worker | None = None


def handler(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:
    """Handle each record; what was not settled for good stays in the queue."""
    worker = _connected()
    failures = [
        {"itemIdentifier": record["messageId"]}
        for record in event["Records"]
        if worker.handle(Delivery.from_lambda(record)) is not Fate.DELETE
    ]
    return {"batchItemFailures": failures}


def _connected() -> Worker:
    """One worker per Lambda instance: connecting costs a secret and a token."""
    global _worker
    if _worker is None:
        configure("register")
        _worker = Worker(from_environment(os.environ), threading.Event())
    return _worker
