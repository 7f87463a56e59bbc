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

from pipeline.errors import Refused

Block = Mapping[str, Any]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], **more: Any) -> Block:
    """Return a table. `marked` lists the numbers of the rows to highlight."""
    return {"kind": "table", "headings": list(headings), "rows": [list(r) for r in rows], **more}


def section(title: str, *blocks: Block) -> Mapping[str, Any]:
    """Return a section with a heading."""
    return {"title": title, "blocks": list(blocks)}


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page.

    Raises:
        Refused: the page could not be made or written.
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
        raise Refused(ended.stderr.strip() or f"the page {path} was not written")
