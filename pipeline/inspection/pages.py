"""Write a page: a document of sections, which `steps.governance.pages` makes into HTML.

    pages.write(Path("compare.html"), {"title": …, "sections": […]})

One process of steps/ has the style and the charts of every page. pipeline/ does not import it, so
the document goes through standard input.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import Refused, UsageError
from pipeline.inspection.documents import Documents
from pipeline.inspection.training_log import Curve

Block = Mapping[str, Any]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], **more: Any) -> Block:
    """Return a table. `marked` lists the numbers of the rows to highlight."""
    return {"kind": "table", "headings": list(headings), "rows": [list(r) for r in rows], **more}


def section(title: str, *blocks: Block) -> Mapping[str, Any]:
    """Return a section with a heading."""
    return {"title": title, "blocks": list(blocks)}


def of_run(found: Documents, logged: Curve, *, drawing: str | None) -> Mapping[str, Any]:
    """Return a run's documents, which the page shows as sections from its data to its lineage.

    Register's own page has the same sections, so `steps.governance.pages.run_sections` makes them.
    """
    return {
        "prepared": found.prepared,
        "trained": found.trained,
        "record": found.record,
        "report": found.report,
        "logged": list(logged.steps.values()),
        "evaluated": [each for _, each in sorted(logged.evaluations.items())],
        "drawing": drawing,
    }


def save(path: Path, content: bytes) -> None:
    """Write a page that is made already.

    Raises:
        Refused: the file cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        message = f"the page cannot be written to {path}: {error.strerror}; name another file"
        raise Refused(message) from None


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
        Refused: the page could not be made.
    """
    command = [sys.executable, "-m", "steps.governance.pages", "--out", str(path)]
    ended = subprocess.run(
        command,
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    if ended.returncode != 0:
        raise (UsageError if ended.returncode == UsageError.exit_code else Refused)(
            ended.stderr.strip() or f"the page {path} was not written"
        )
