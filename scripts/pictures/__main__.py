"""Make the pictures of docs/pictures/ again: architecture, a lineage graph, a report page.

    python -m scripts.pictures             write those that are not current
    python -m scripts.pictures --check     write nothing; exit code 3 if one is not current

The drawings are SVG from data. The report is a PNG of the page's beginning, light and dark, which
needs Chromium; `made-from.json` has the sha256 of the HTML that it was made from, so whether it is
current is known without a browser.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from scripts.pictures.browser import NoBrowser, shot

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
MADE_FROM = "made-from.json"
SHOTS = {"report.png": False, "report-dark.png": True}  # whether it is dark


def main() -> int:
    """Write what is not current and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 3 if one differs")
    arguments = parser.parse_args()
    old = stale(FOLDER)
    print("\n".join(f"not current: {name}" for name in old) or "every picture is current")
    if arguments.check:
        return 3 if old else 0
    try:
        write(FOLDER, old)
    except NoBrowser as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def drawings() -> dict[str, str]:
    """Return the SVG files by name."""
    from scripts.pictures import drawing, examples  # seconds of imports, which --help need not

    return {
        "architecture.svg": drawing.architecture(),
        "lineage.svg": drawing.lineage(examples.lineage_drawing()),
    }


def digest(html: str) -> str:
    """Return the sha256 of a page."""
    return hashlib.sha256(html.encode()).hexdigest()


def stale(folder: Path) -> list[str]:
    """Return the names of the pictures that are absent or were made from something else."""
    old = [
        name
        for name, text in drawings().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    from scripts.pictures import examples

    file = folder / MADE_FROM
    made_from = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    now = digest(examples.report_page())
    return old + [
        name for name in SHOTS if not (folder / name).is_file() or made_from.get(name) != now
    ]


def write(folder: Path, names: list[str]) -> None:
    """Write the named pictures.

    Raises:
        NoBrowser: one is of a page, and Chromium is not installed; the drawings are written.
    """
    folder.mkdir(exist_ok=True)
    for name, text in drawings().items():
        if name in names:
            (folder / name).write_text(text, encoding="utf-8")
    if not set(SHOTS) & set(names):
        return
    from scripts.pictures import examples

    html = examples.report_page()
    for name, dark in SHOTS.items():
        (folder / name).write_bytes(shot(html, dark=dark))
    made_from = json.dumps(dict.fromkeys(SHOTS, digest(html)), indent=1)
    (folder / MADE_FROM).write_text(f"{made_from}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
