"""Send one OpenLineage event within a bounded time. A failure is a warning, never an error.

    send(Target("http", "https://lineage.example.com/api/v1/lineage"), event, region="us-east-1")

Lineage is reported, and the work does not depend on it: every failure (no connection, a redirect, a
time-out, any status but 2xx, a full disk, a refused permission) is one line in the log. An event is
sent once. A lost answer is not repeated: the receiver has the event or it has not, and the record
has the same facts. The log has the class of the failure and never its text, which could quote an
answer.
"""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from steps.governance.openlineage.target import Target

log = logging.getLogger(__name__)

SECONDS = 5.0  # of one event at most, also if the receiver answers byte by byte


def send(target: Target, event: dict[str, Any], *, region: str) -> bool:
    """Send the event and return whether the receiver took it in time."""
    content = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
    outcome: list[str] = []
    thread = threading.Thread(
        target=_attempt, args=(lambda: _SENDERS[target.kind](target, content, region), outcome),
        daemon=True,
    )  # fmt: skip
    thread.start()
    thread.join(SECONDS)
    failure = outcome[0] if outcome else f"no answer within {SECONDS:g} s"
    if failure:
        log.warning(
            "OpenLineage %s event was not sent to the %s receiver: %s; the job continues",
            event["eventType"],
            target.kind,
            failure,
        )
    return not failure


def _attempt(deliver: Callable[[], None], outcome: list[str]) -> None:
    try:
        deliver()
    except _Refused as error:
        outcome.append(str(error))
    except Exception as error:  # noqa: BLE001 - lineage must not fail a job
        outcome.append(type(error).__name__)
    else:
        outcome.append("")


class _Refused(Exception):
    """The receiver answered with another status than 2xx."""


def _to_file(target: Target, content: bytes, region: str) -> None:
    """Append one line with one write, so that two steps on one file do not mix their lines."""
    descriptor = os.open(target.address, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        line = content + b"\n"
        if os.write(descriptor, line) != len(line):
            raise _Refused("only a part was written")
    finally:
        os.close(descriptor)


def _to_http(target: Target, content: bytes, region: str) -> None:
    """POST the event. No redirect is followed: it could lead to another host."""
    import requests

    with requests.post(
        target.address,
        data=content,
        headers={"Content-Type": "application/json"},
        auth=lambda request: request,  # else requests adds a password of ~/.netrc
        allow_redirects=False,
        stream=True,  # an answer's body is not read
        timeout=SECONDS,
    ) as answer:
        if not 200 <= answer.status_code < 300:
            raise _Refused(f"status {answer.status_code}")


def _to_datazone(target: Target, content: bytes, region: str) -> None:
    """Post the event with a token of its content, so that a duplicate has no effect."""
    import boto3
    from botocore.config import Config

    timeouts = Config(
        connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1}
    )
    client = boto3.session.Session().client("datazone", region_name=region, config=timeouts)
    client.post_lineage_event(
        domainIdentifier=target.address,
        event=content,
        clientToken=hashlib.sha256(content).hexdigest(),
    )


_SENDERS = {"file": _to_file, "http": _to_http, "datazone": _to_datazone}
