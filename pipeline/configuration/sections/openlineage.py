"""The section `openlineage`: where the steps send run events.

    openlineage: {transport: http, url: https://lineage.example.com/api/v1/lineage}

null and `{transport: none}` mean that no events are sent. The steps get the target as one word,
with the rules of steps/governance/openlineage/target.py; a test compares both.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from pipeline.configuration.messages import Fault
from pipeline.configuration.sections.strictness import STRICT

FILE = r"/(?!\.\.?(?:/|$))[A-Za-z0-9_.-]+(?:/(?!\.\.?(?:/|$))[A-Za-z0-9_.-]+)*"
_REST = r"(?::[0-9]{1,5})?(?:/[A-Za-z0-9_.~/-]*)?"
URL = (
    rf"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?{_REST}"
    rf"|http://(?:127\.0\.0\.1|localhost){_REST}"
)
DOMAIN = r"dzd[-_][A-Za-z0-9_-]{1,36}"

# The key that each transport needs.
_KEYS = {"file": "path", "http": "url", "datazone": "domain"}


def _matching(pattern: str, expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):  # the value may hold a password: it is not shown
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OpenLineage:
    """One receiver of run events."""

    transport: Literal["none", "file", "http", "datazone"] = Field(
        description="none, file, http or datazone"
    )
    path: Annotated[str, _matching(FILE, "an absolute path")] | None = None
    url: (
        Annotated[
            str,
            _matching(URL, "https://host/path, or http on the loopback; no user, no query"),
        ]
        | None
    ) = None
    domain: Annotated[str, _matching(DOMAIN, "an Amazon DataZone domain's id (dzd_…)")] | None = (
        None
    )

    @property
    def word(self) -> str | None:
        """The target as the steps take it, or None if no events are sent."""
        words = {
            "none": None,
            "file": f"file:{self.path}",
            "http": self.url,
            "datazone": f"datazone:{self.domain}",
        }
        return words[self.transport]


def word(section: OpenLineage | None) -> dict[str, str]:
    """Return the steps' argument `openlineage`, or nothing if no events are sent."""
    found = section.word if section is not None else None
    return {} if found is None else {"openlineage": found}


def faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for a key that the transport lacks or does not take."""
    section = document.get("openlineage")
    if not isinstance(section, dict):
        return
    transport = section.get("transport")
    needed = _KEYS.get(str(transport))
    for key in _KEYS.values():
        given = section.get(key) is not None
        if key == needed and not given:
            yield f"openlineage.{key}", f"missing; transport {transport} needs it"
        elif key != needed and given:
            yield f"openlineage.{key}", f"not taken by transport {transport}; remove it"
