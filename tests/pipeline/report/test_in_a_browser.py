"""The page in a real browser, on a telephone and on a desk: nothing is cut off, in light and dark.

It needs Chromium (`apt-get install chromium`), and is skipped where there is not one.
"""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from pipeline.configuration import config
from pipeline.inspection import pages
from pipeline.report import page
from tests.pipeline.report import example

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
PAPER = {"light": (247, 248, 250), "dark": (18, 21, 27)}  # --paper of style.css.jinja
HEIGHT = 5200
SMALLEST = 11.0  # pixels of a text that is read on a telephone


def screenshot(file: Path, folder: Path, *, width: int, dark: bool) -> Image.Image:
    assert CHROMIUM is not None
    picture = folder / "page.png"
    options = ["--force-dark-mode", "--enable-features=WebContentsForceDark"] if dark else []
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{HEIGHT}",
        f"--screenshot={picture}", *options, file.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    return Image.open(picture).convert("RGB")


@pytest.fixture(params=["succeeded", "failed"])
def file(request: pytest.FixtureRequest, configured: config.Config, tmp_path: Path) -> Path:
    found = example.succeeded() if request.param == "succeeded" else example.failed()
    path = tmp_path / "report.html"
    pages.write(path, page.composed(configured, found))
    return path


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1440, False), (1440, True)])
def test_the_page_fits_its_window(file: Path, tmp_path: Path, width: int, dark: bool) -> None:
    picture = screenshot(file, tmp_path, width=width, dark=dark)
    assert picture.size == (width, HEIGHT)
    paper = PAPER["dark" if dark else "light"]
    # What is wider than the window reaches its right edge; the page's margin is empty.
    edge = {picture.getpixel((width - 2, y)) for y in range(HEIGHT)}
    assert edge == {paper}
    drawn = {picture.getpixel((width // 2, y)) for y in range(HEIGHT)}
    assert len(drawn) > 20


# Chromium's own window is never narrower than 500 pixels; a frame is.
_FRAME = """<title>not measured</title>
<iframe style="width: {width}px; height: 5000px; border: 0" srcdoc="{page}"></iframe><script>
addEventListener('load', () => {{
  const every = [...frames[0].document.querySelectorAll('.scroll')];
  const cut = every.filter(each => each.scrollWidth > each.clientWidth);
  const begins = cut.map(each => each.textContent.trim().slice(0, 40)).join('|');
  const found = `${{cut.length}} of ${{every.length}} cut: ${{begins}}`;
  const sizes = [...frames[0].document.querySelectorAll('svg text')].map(each => {{
    const svg = each.ownerSVGElement, scale = svg.getBoundingClientRect().width;
    return parseFloat(getComputedStyle(each).fontSize) * scale / svg.viewBox.baseVal.width;
  }}).filter(each => each > 0);
  const small = Math.min(...sizes).toFixed(2);
  document.title = `${{frames[0].innerWidth}}: ${{found}} (${{sizes.length}} texts of ${{small}})`;
}})</script>"""


@pytest.mark.parametrize("width", [390, 590, 620, 900])
def test_on_a_telephone_no_table_and_no_chart_is_cut(
    file: Path, tmp_path: Path, width: int
) -> None:
    assert CHROMIUM is not None
    frame = tmp_path / "frame.html"
    page = html.escape(file.read_text(encoding="utf-8"))
    frame.write_text(_FRAME.format(width=width, page=page), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, check=True, timeout=120, text=True).stdout
    title = r"<title>(\d+): (\d+) of (\d+) cut: ([^<]*) \((\d+) texts of ([\d.]+)\)</title>"
    found = re.search(title, shown)
    assert found is not None, shown[:300]
    assert (int(found[1]), int(found[2])) == (width, 0), found[4]
    assert int(found[3]) > 3
    assert int(found[5]) > 10
    assert float(found[6]) >= SMALLEST, "text of a chart, in pixels as it is shown"
