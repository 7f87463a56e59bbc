"""Where OpenLineage events are sent, as one word of a step's arguments.

    parse("none")                               # None
    parse("file:/var/log/openlineage.ndjson")   # one event a line
    parse("https://lineage.example.com/api/v1/lineage")
    parse("datazone:dzd_4x7k2m9p1q0z")          # an Amazon DataZone (SageMaker Catalog) domain

A target has no user, password or query: a receiver that needs a secret is not supported. HTTP is
https, or http on this machine's loopback. pipeline/configuration has the same rules; a test
compares both.
"""

import re
from dataclasses import dataclass
from typing import Literal

from steps.governance.argument_types import ArgumentType

NONE = "none"
FILE = r"/(?!\.\.?(?:/|$))[A-Za-z0-9_.-]+(?:/(?!\.\.?(?:/|$))[A-Za-z0-9_.-]+)*"
_REST = r"(?::[0-9]{1,5})?(?:/[A-Za-z0-9_.~/-]*)?"
URL = (
    rf"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?{_REST}"
    rf"|http://(?:127\.0\.0\.1|localhost){_REST}"
)
DOMAIN = r"dzd[-_][A-Za-z0-9_-]{1,36}"  # botocore: datazone, DomainId


@dataclass(frozen=True)
class Target:
    """One receiver: a path, a URL or a domain's id."""

    kind: Literal["file", "http", "datazone"]
    address: str


def parse(text: str) -> Target | None:
    """Return the target that a word names; None: no events are sent.

    Raises:
        ValueError: none of the forms above.
    """
    if text == NONE:
        return None
    scheme, _, rest = text.partition(":")
    if scheme == "file" and re.fullmatch(FILE, rest):
        return Target("file", rest)
    if scheme == "datazone" and re.fullmatch(DOMAIN, rest):
        return Target("datazone", rest)
    if re.fullmatch(URL, text):
        return Target("http", text)
    raise ValueError("not a target of OpenLineage events")


TARGET = ArgumentType(
    parse, "none, file:/path, https://host/path (http on the loopback) or datazone:<domain id>"
)
