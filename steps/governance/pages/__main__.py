"""Make a page of a document: `python -m steps.governance.pages --out FILE < document.json`.

`pipeline.inspection.pages` composes the document.
"""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from steps.governance.errors import GovernanceError
from steps.governance.pages import written
from steps.governance.pages.document import Page
from steps.governance.pages.render import html


def main(argv: list[str]) -> int:
    """Write the page and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m steps.governance.pages", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    path = parser.parse_args(argv).out
    try:
        written.write(path, html(_read(sys.stdin.read())))
    except GovernanceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _read(text: str) -> Page:
    try:
        return Page.model_validate_json(text)
    except ValidationError as error:
        raise GovernanceError("the document is not a page's", got=str(error)) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
