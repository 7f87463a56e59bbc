"""The worker's heartbeat: one object that is overwritten, and a metric in the log.

    with beating(signs, heartbeat_of(arguments)):
        …

Only a worker that works beats (`VitalSigns.fault`), so an old object means that nobody takes
messages. Several workers overwrite the same object: a reader asks whether one of them lives. A beat
that cannot be written is one line in the log, and the worker continues (decision 024).

The metric is a line in CloudWatch's embedded metric format on stdout, where the log's driver
makes it a metric. The role needs no right for that.
"""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from steps.governance import aws
from steps.governance.errors import GovernanceError
from steps.register.arguments import Arguments
from steps.register.life.vital_signs import VitalSigns

log = logging.getLogger(__name__)

# pipeline/execution/attention.py calls a worker lost after four of them (tests/test_contract.py)
BEAT_SECONDS = 30.0
EMF = "emf"
_JOIN_SECONDS = 2.0  # a beat that hangs does not delay the worker's end
_NAMESPACE = "GovernedFinetune"


@dataclass(frozen=True)
class Heartbeat:
    """Where a worker's heartbeat goes: an object's URI or None, and `emf` or `none`."""

    uri: str | None
    region: str
    metrics: str
    pipeline: str

    def beat(self, signs: VitalSigns, output: IO[str] = sys.stdout) -> None:
        """Write the object and the metric, unless the worker does not work.

        Raises:
            GovernanceError: the object cannot be written.
        """
        document = signs.document()
        if document["state"] == "failing":
            return
        if self.metrics == EMF:
            output.write(json.dumps(self._metric(document)) + "\n")
            output.flush()
        if self.uri is not None:
            bucket, _, key = self.uri.removeprefix("s3://").partition("/")
            with aws.translated(f"write the heartbeat {self.uri}"):
                aws.client("s3", self.region).put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=json.dumps(document, indent=1).encode(),
                    ContentType="application/json",
                )

    def _metric(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the line [CloudWatch User Guide, Embedded metric format specification]."""
        metrics = [{"Name": "Heartbeat", "Unit": "Count"}, {"Name": "Receives", "Unit": "Count"}]
        return {
            "_aws": {
                "Timestamp": int(datetime.now(UTC).timestamp() * 1000),
                "CloudWatchMetrics": [
                    {"Namespace": _NAMESPACE, "Dimensions": [["Pipeline"]], "Metrics": metrics}
                ],
            },
            "Pipeline": self.pipeline,
            "Heartbeat": 1,
            "Receives": document["receives"],
            "Worker": document["worker"],
        }


def heartbeat_of(arguments: Arguments) -> Heartbeat:
    """Return the heartbeat that the worker's settings name."""
    return Heartbeat(
        arguments.heartbeat_uri, arguments.region, arguments.metrics, arguments.pipeline_name
    )


@contextmanager
def beating(
    signs: VitalSigns, heartbeat: Heartbeat, every_seconds: float = BEAT_SECONDS
) -> Iterator[None]:
    """Beat at the beginning and then at intervals, in a thread, until the block ends."""
    ended = threading.Event()

    def run() -> None:
        failing = False
        while True:
            try:
                heartbeat.beat(signs)
                failing = False
            except GovernanceError as error:
                if not failing:
                    log.warning("no heartbeat: %s", error)
                failing = True
            if ended.wait(every_seconds):
                return

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_JOIN_SECONDS)
