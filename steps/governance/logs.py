"""Logging of every step: one line per event on stderr, without libraries' DEBUG logs of secrets."""

import logging
import sys

# databricks-sdk logs OAuth secrets and vended keys in clear at DEBUG; botocore and urllib3 log
# headers and bodies.
_LOUD = ("databricks.sdk", "botocore", "boto3", "urllib3", "requests", "httpx", "azure")


def configure(step: str) -> None:
    """Log this step at INFO to stderr."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s {step} %(levelname)s %(name)s %(message)s",
        force=True,
    )
    hold_back_secrets()


def hold_back_secrets() -> None:
    """Set libraries that log requests and responses to WARNING, below any root level."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
