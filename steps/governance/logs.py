"""Logging for every step: one line per event on stderr, and libraries that log secrets at DEBUG held above it."""

import logging
import sys

# databricks-sdk logs OAuth secrets and vended keys in clear at DEBUG; botocore and urllib3 log headers and bodies.
_LOUD = ("databricks.sdk", "botocore", "boto3", "urllib3", "requests", "httpx", "azure")


def configure(step: str) -> None:
    """Log this step at INFO to stderr; keep loud libraries at WARNING whatever the root level is."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s {step} %(levelname)s %(name)s %(message)s",
        force=True,
    )
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
