"""The lineage page in a real browser: on a telephone too no name is broken, and the body fits.

It needs Chromium (`apt-get install chromium`), and is skipped where there is not one.
"""

import html
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from steps.trace.page.html import render
from tests.steps.trace.test_page import answered
from tests.support.histories import Size

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
PACKAGE = {
    "model": "edgar.models.m0000", "version": 1, "status": "PendingManualApproval",
    "arn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/governed-finetune-dev/12",
    "decided": {"verb": "approved", "alias": "champion", "who": "anna.approver@example-bank.com",
                "at": "2026-11-29T13:00:00Z", "reason": "better"},
}  # fmt: skip
# Chromium's own window is never narrower than 500 pixels; a frame is.
_FRAME = """<title>not measured</title>
<iframe style="width: {width}px; height: 3000px; border: 0" srcdoc="{page}"></iframe><script>
addEventListener('load', () => {{
  const inner = frames[0].document, broken = [];
  const cells = [...inner.querySelectorAll('td:not(.name):not(.by):not(:last-child)')];
  for (const cell of cells) {{
    if (!cell.textContent.trim() || /\\s|-/.test(cell.textContent.trim())) continue;
    const range = inner.createRange();
    range.selectNodeContents(cell);
    const lines = new Set([...range.getClientRects()].map(each => Math.round(each.top)));
    if (lines.size > 1) broken.push(cell.textContent.trim());
  }}
  const wide = inner.documentElement.scrollWidth > frames[0].innerWidth;
  document.title = `${{cells.length}} cells, broken: ${{broken.join(' ')}}; wide: ${{wide}}`;
}})</script>"""


@pytest.mark.parametrize("width", [390, 1440])
def test_no_name_of_a_table_is_broken_and_the_page_fits(tmp_path: Path, width: int) -> None:
    assert CHROMIUM is not None
    answer = answered(tmp_path, Size(executions=3, plain=True))
    page = render(replace(answer, extra={"model_packages": [PACKAGE]}))
    assert "PendingManualApproval" in page
    frame = tmp_path / "frame.html"
    frame.write_text(_FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,3000", "--dump-dom",
        frame.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, check=True, timeout=120, text=True).stdout
    found = re.search(r"<title>(\d+) cells, broken: ([^;]*); wide: (\w+)</title>", shown)
    assert found is not None, shown[:300]
    assert int(found[1]) > 10
    assert (found[2], found[3]) == ("", "false")
