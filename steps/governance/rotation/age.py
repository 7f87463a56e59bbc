"""How old the principals' secrets are, as a metric: the Lambda `…rotation.age.handler`.

Databricks shows the end of an OAuth secret to an administrator of the workspace only. The age needs
no right there and no value of a secret: it is the date of the version that is current. A rotation
makes secrets of 180 days, so the alarm of the layer `watch` is at 150. The function is called twice
a day and changes nothing.

Answers to what can go wrong: botocore repeats lost answers, time-outs, 429 and 5xx. What is left,
and a secret that is gone, ends the call with an error; without a number the alarm goes off too.
The environment: SECRETS (the beginning of their names), PRINCIPALS and PIPELINE_NAME.
"""

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from steps.governance import aws
from steps.governance.logs import configure

log = logging.getLogger(__name__)

OLD_DAYS = 150  # the alarm's bound (a test compares)
METRIC = "OldestSecretDays"
_NAMESPACE = "GovernedFinetune"  # as the worker's heartbeat
_CURRENT = "AWSCURRENT"
_DAY_SECONDS = 24 * 3600


def handler(event: object, context: object) -> dict[str, float]:
    """Write the metric, and return the age of each secret in days."""
    configure("secret-age")
    given = os.environ
    names = [given["SECRETS"] + name for name in given["PRINCIPALS"].split(",")]
    store = aws.client("secretsmanager", given["AWS_REGION"])
    ages = of(store, names, datetime.now(UTC))
    for name in (name for name, days in ages.items() if days >= OLD_DAYS):
        log.warning("the secret %s is %.0f days old: rotate it", name, ages[name])
    write(ages, given["PIPELINE_NAME"])
    return ages


def of(store: Any, names: Iterable[str], now: datetime) -> dict[str, float]:
    """Return the days since each secret's current version was made; one without a version is left
    out.

    Raises:
        GovernanceError: a secret is gone, or Secrets Manager does not answer or refuses.
    """
    found = {}
    for name in names:
        for each in _versions(store, name):
            if _CURRENT in each.get("VersionStages", ()):
                found[name] = (now - each["CreatedDate"]).total_seconds() / _DAY_SECONDS
    return found


def _versions(store: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the versions that a stage names; botocore has no pages of this call."""
    more: dict[str, str] = {}
    while True:
        with aws.translated(f"list the versions of the secret {name}"):
            page = store.list_secret_version_ids(SecretId=name, **more)
        yield from page["Versions"]
        if "NextToken" not in page:
            return
        more = {"NextToken": page["NextToken"]}


def write(ages: Mapping[str, float], pipeline: str, output: IO[str] | None = None) -> None:
    """Write the line [CloudWatch User Guide, Embedded metric format specification]."""
    metrics = [
        {"Namespace": _NAMESPACE, "Dimensions": [["Pipeline"]], "Metrics": [{"Name": METRIC}]}
    ]
    line = {
        "_aws": {
            "Timestamp": int(datetime.now(UTC).timestamp() * 1000),
            "CloudWatchMetrics": metrics,
        },
        "Pipeline": pipeline,
        METRIC: round(max(ages.values(), default=0.0), 2),  # 0: nothing is stored yet
    }
    print(json.dumps(line), file=output or sys.stdout, flush=True)  # a metric
