"""Write the registration's page next to the record, once.

    written.ensure(evidence, links, record, facts, report=…)

The record is the evidence; the page shows it. A page that is there already is not compared: another
release's worker may have made it, from the same record. External calls: `Evidence` repeats them, a
duplicate finds the page there, and after a crash the next delivery writes it.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from steps.governance.documents.record import Record
from steps.governance.errors import Conflict, NotFound
from steps.governance.evidence import Evidence
from steps.governance.pages.render import html
from steps.register.facts import Facts
from steps.register.page import composed
from steps.register.page.links import Links

HTML = "text/html; charset=utf-8"


def ensure(
    evidence: Evidence, links: Links, record: Record, facts: Facts, *, report: Callable[[], bytes]
) -> None:
    """Write the page unless there is one. `report` reads Train's report.json.

    Raises:
        GovernanceError: it could not be written, or the report could not be read.
    """
    with suppress(NotFound):
        evidence.read(links.page_uri)
        return
    text = html(composed.page(record, facts, parsed(report())))
    with suppress(Conflict):  # another worker was first
        evidence.write_once(links.page_uri, text.encode("utf-8"), content_type=HTML)


def parsed(content: bytes) -> Mapping[str, Any] | None:
    """Return the report, or None for what is not a JSON object; the page then states it."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):  # what json raises
        return None
    return found if isinstance(found, dict) else None
