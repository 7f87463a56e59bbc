"""A page holds its texts as text, draws what it is given, and lets nothing load or run."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from steps.governance.errors import UsageError
from steps.governance.pages.document import Page
from steps.governance.pages.render import html

REPOSITORY = Path(__file__).resolve().parents[4]
HOSTILE = "<script>alert(1)</script><img src=x onerror=y>&\x00\u202e"
SPAN = {"name": "Train", "begin": 8.0, "seconds": 20.0, "status": "Failed", "text": HOSTILE}
BLOCKS: list[dict[str, Any]] = [
    {"kind": "table", "headings": ["a", HOSTILE], "rows": [[HOSTILE, "1"]], "marked": [0]},
    {"kind": "text", "text": HOSTILE, "bad": True},
    {"kind": "code", "text": HOSTILE},
    {
        "kind": "lines",
        "series": [{"label": HOSTILE, "points": [[0, 1], [1, 2]], "dots": True}],
        "x": HOSTILE,
        "y": "y",
    },
    {"kind": "bars", "classes": [HOSTILE], "series": {HOSTILE: [1.0]}, "x": "x", "y": "y"},
    {"kind": "time-line", "spans": [SPAN]},
    {"kind": "quotes", "quotes": [{"title": HOSTILE, "text": HOSTILE}]},
]


def page(*blocks: dict[str, Any]) -> str:
    document = {"title": HOSTILE, "lead": [HOSTILE], "sections": [_section(*blocks)]}
    return html(Page.model_validate_json(json.dumps(document)))


def _section(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"title": HOSTILE, "blocks": list(blocks)}


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["kind"])
def test_hostile_text_stays_text_in_each_kind_of_block(block: dict[str, Any]) -> None:
    found = Elements(page(block)).found
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in found}
    names = {name for _, attributes in found for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href")}


def test_the_policy_forbids_the_browser_to_load_anything() -> None:
    policies = [
        attributes["content"]
        for tag, attributes in Elements(page()).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def drawing(inside: str) -> dict[str, Any]:
    text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">{inside}</svg>'
    return {"kind": "drawing", "svg": text}


def test_a_drawing_is_kept_with_its_shapes_and_texts() -> None:
    assert "<rect" in page(drawing('<g class="node"><rect x="1"/><text>a &lt; b</text></g>'))


@pytest.mark.parametrize(
    "inside",
    [
        "<script>1</script>",
        '<rect onclick="1"/>',
        '<image href="http://x/y.png"/>',
        "<foreignObject/>",
        "<style>*{}</style>",
        "<rect",
    ],
)
def test_a_drawing_with_more_than_shapes_is_refused(inside: str) -> None:
    with pytest.raises(UsageError, match="a drawing"):
        page(drawing(inside))


def test_an_unknown_block_or_field_is_refused() -> None:
    for block in ({"kind": "film"}, {"kind": "text", "text": "a", "html": "<b>"}):
        with pytest.raises(ValidationError):
            page(block)


def test_the_time_line_is_drawn_to_scale() -> None:
    first = SPAN | {"name": "Prepare", "begin": 0, "seconds": 10.0}
    second = SPAN | {"begin": 10.0, "seconds": 40.0}
    text = page({"kind": "time-line", "spans": [first, second]})
    widths = [
        float(attributes["width"] or 0) for tag, attributes in Elements(text).found if tag == "rect"
    ]
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.01)


def made(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "steps.governance.pages", "--out", str(path)]
    return subprocess.run(
        command, input=text, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_the_command_writes_the_page_and_refuses_with_one_message(tmp_path: Path) -> None:
    document = json.dumps({"title": "A page", "sections": []})
    assert made(tmp_path / "page.html", document).returncode == 0
    assert "<h1>A page</h1>" in (tmp_path / "page.html").read_text()
    for path, text, code in (  # a document that is no page is not the fault of who named the file
        (tmp_path / "p.html", "{}", 1),
        (tmp_path / "no" / "p.html", document, 2),
    ):
        refused = made(path, text)
        assert refused.returncode == code
        assert "Traceback" not in refused.stderr
