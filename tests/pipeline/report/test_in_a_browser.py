"""The page in a real browser, on a telephone and on a desk: nothing is cut off, in light and dark.

It needs Chromium (`apt-get install chromium`), and is skipped where there is not one.
"""

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
