"""The hosts that may receive a secret: Databricks workspaces of every cloud, no others.

    checked_host("https://dbc-1.cloud.databricks.us/")      # "https://dbc-1.cloud.databricks.us"

pipeline/configuration/hosts.py has the same rule for the configuration. The images do not contain
pipeline/, and a data file for both would have to be copied into each image; tests/test_contract.py
compares the two rules and the SDK's list.
"""

import os
import re
from collections.abc import Mapping

from steps.governance.errors import UsageError

# Production zones of databricks-sdk 0.156.0 (databricks/sdk/environments.py) without its `.dev.`
# and `.staging.` zones. An AWS workspace is one label in its zone. On Azure (adb-<id>.<n>) and
# Google Cloud (<id>.<n>) a number may follow.
# .mil: GovCloud DoD [unverified]
AWS_ZONES = (
    ".cloud.databricks.com",
    ".cloud.databricks.us",
    ".cloud.databricks.mil",
)
NUMBERED_ZONES = (
    ".azuredatabricks.net",
    ".databricks.azure.us",
    ".databricks.azure.cn",
    ".gcp.databricks.com",
)
# `accounts.…` is the account console, which has no Unity Catalog tables.
_LABEL = r"(?!accounts(?:-dod)?\.)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


def _any(zones: tuple[str, ...]) -> str:
    return "|".join(map(re.escape, zones))


WORKSPACE = (
    rf"https://{_LABEL}(?:(?:{_any(AWS_ZONES)})|(?:\.[0-9]{{1,2}})?(?:{_any(NUMBERED_ZONES)}))"
)
# The embedded environment: a workspace on this machine, where http is enough.
LOOPBACK = r"http://(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?"


def without_credentials(host: str) -> str:
    """Return the host for a message without user information, which may be a token."""
    return re.sub(r"//[^/]*@", "//…@", host)


def checked_host(host: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the workspace's origin if a secret may be sent to it.

    The loopback is allowed only if AWS is on the loopback too, as in the embedded environment: on
    AWS, a job that is sent to its own machine was configured wrongly.

    Raises:
        UsageError: neither an https Databricks host nor (where allowed) the loopback.
    """
    text = host.removesuffix("/") if isinstance(host, str) else ""
    embedded = (
        re.fullmatch(LOOPBACK, environ.get("AWS_ENDPOINT_URL", "").removesuffix("/")) is not None
    )
    if not (re.fullmatch(WORKSPACE, text) or (embedded and re.fullmatch(LOOPBACK, text))):
        raise UsageError(
            "a Databricks host was refused before any secret was read",
            expected=f"https://<workspace> of {' '.join((*AWS_ZONES, *NUMBERED_ZONES))}, "
            "without path or port" + (", or http on this machine's loopback" if embedded else ""),
            got=without_credentials(repr(host))[:200],
            do="correct databricks.host in the environment's configuration",
        )
    return text
