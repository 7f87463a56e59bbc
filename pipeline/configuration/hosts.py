"""Which hosts are Databricks workspaces: one list of DNS zones for every cloud.

    hosts.origin("https://dbc-1.cloud.databricks.us/")      # "https://dbc-1.cloud.databricks.us"
    hosts.origin("https://evil.example")                    # None

A service principal's secret is sent to the host, so other hosts are refused. The steps' images do
not contain pipeline/, so steps/governance/unity_catalog/hosts.py has the same rule.
tests/test_contract.py holds the two rules and the SDK's list equal.
"""

import re

# The production zones of databricks-sdk 0.156.0 (databricks/sdk/environments.py), without its
# `.dev.` and `.staging.` zones. An AWS workspace is one label in its zone. On Azure (adb-<id>.<n>)
# and Google Cloud (<id>.<n>) a number may follow.
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
# `accounts.…` is the account console. It has no Unity Catalog tables, so no step could work there.
_LABEL = r"(?!accounts(?:-dod)?\.)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


def _any(zones: tuple[str, ...]) -> str:
    return "|".join(map(re.escape, zones))


WORKSPACE = (
    rf"https://{_LABEL}(?:(?:{_any(AWS_ZONES)})|(?:\.[0-9]{{1,2}})?(?:{_any(NUMBERED_ZONES)}))"
)
# A workspace on this machine: the embedded environment. No byte leaves it, so http is safe.
LOOPBACK = r"http://(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?"


def without_credentials(host: str) -> str:
    """Return the host for a message, without the part before an `@`, which may be a token."""
    return re.sub(r"//[^/]*@", "//…@", host)


def origin(text: str, *, loopback: bool = False) -> str | None:
    """Return the workspace's URL without a final slash, or None if it is not a workspace.

    Args:
        text: the host in the configuration.
        loopback: whether this machine's loopback counts as a workspace.
    """
    host = text.removesuffix("/")
    return (
        host
        if re.fullmatch(WORKSPACE, host) or (loopback and re.fullmatch(LOOPBACK, host))
        else None
    )
