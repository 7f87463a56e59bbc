"""Take a picture of a page with Chromium, which is `apt-get install chromium` away.

png = shot(html, dark=True)
"""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

_NAMES = ("chromium", "chromium-browser", "chrome", "google-chrome")
_SECONDS = 120
_SIZE = "1080,2590"  # of the window: the page to the end of its curves
_COLOURS = 64  # of the picture; a page has few, and a palette is a third of the bytes
# The page's own dark colours, not the browser's inversion
_DARK = ("--force-dark-mode", "--enable-features=WebContentsForceDark")


class NoBrowser(Exception):
    """Chromium is not installed, so pictures of pages cannot be made."""


def shot(html: str, *, dark: bool) -> bytes:
    """Return the beginning of a page as PNG.

    Raises:
        NoBrowser: Chromium is not installed.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        message = "no Chromium: expected one of " + ", ".join(_NAMES) + "; install it"
        raise NoBrowser(message)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "page.html").write_text(html, encoding="utf-8")
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}", f"--window-size={_SIZE}",
            f"--screenshot={folder / 'page.png'}", *(_DARK if dark else ()),
            (folder / "page.html").as_uri(),
        ]  # fmt: skip
        subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS)
        picture = Image.open(folder / "page.png").convert("RGB")
    content = io.BytesIO()
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()
