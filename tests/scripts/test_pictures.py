"""The pictures of docs/pictures/ are current, small, and readable without anything else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from scripts.pictures import __main__ as pictures
from scripts.pictures import browser, drawing, examples, structure
from steps.governance.pages import render

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "docs" / "pictures"
DRAWINGS = ("architecture.svg", "lineage.svg")
MOST_BYTES = 200_000
# Of an average character of the fonts that browsers take for system-ui, at 11.5 and 13 px
WIDTHS = {"line": 6.1, "name": 8.2}
CHROMIUM = next(filter(None, map(shutil.which, browser._NAMES)), None)


def test_every_picture_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_ENV", "local")  # the shell must not matter
    assert pictures.stale(FOLDER) == [], "python -m scripts.pictures"
    expected = {*DRAWINGS, *pictures.SHOTS, pictures.MADE_FROM}
    assert {path.name for path in FOLDER.iterdir()} == expected


def test_a_changed_source_makes_a_picture_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "pictures"))
    (folder / "architecture.svg").write_text("<svg/>")
    (folder / "report.png").unlink()
    assert pictures.stale(folder) == ["architecture.svg", "report.png"]
    plain = render.html
    monkeypatch.setattr(examples, "html", lambda page: plain(page).replace("Steps", "Stages"))
    assert pictures.stale(FOLDER) == list(pictures.SHOTS)
    monkeypatch.setattr(drawing, "LEGEND", ())
    assert pictures.stale(FOLDER)[0] == "architecture.svg"


def test_check_reports_and_writes_nothing() -> None:
    command = [sys.executable, "-m", "scripts.pictures", "--check"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "every picture is current\n")


@pytest.mark.parametrize("name", [*DRAWINGS, *pictures.SHOTS])
def test_a_picture_is_small_and_the_documentation_shows_it_with_a_text(name: str) -> None:
    assert 1000 < (FOLDER / name).stat().st_size <= MOST_BYTES
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    forms = (
        rf"!\[[^\]]{{20,}}\]\(pictures/{name}\)",
        rf'<img src="pictures/{name}" [^>]*alt="[^"]{{20,}}">',
        rf'<source [^>]*srcset="pictures/{name}">',
    )
    assert re.search("|".join(forms), page)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_loads_nothing_and_has_colours_for_light_and_dark(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314 - our own
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "style", "g", "rect", "path", "text", "title"}
    assert re.findall(r"https?://[^\s\"'<]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\(|@import|href|\bon\w+=", text)
    used = set(re.findall(r"var\((--\w+)\)", text))
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    dark = dark.split("\n}")[0]
    # The first two are set by a rule for each kind, the others are widths of the drawing
    given = used - {"--k", "--c", "--least", "--drawn"}
    assert given
    assert all(f"{each}: #" in light and f"{each}: #" in dark for each in given)
    assert root.attrib["aria-label"]


def test_every_arrow_begins_and_ends_at_a_part() -> None:
    def touches(point: tuple[int, int]) -> bool:
        return any(
            x <= point[0] <= x + width
            and y <= point[1] <= y + height
            and (point[0] in (x, x + width) or point[1] in (y, y + height))
            for x, y, width, height in (each.at for each in structure.BOXES + structure.FRAMES)
        )

    ends = [end for arrow in structure.ARROWS for end in (arrow.points[0], arrow.points[-1])]
    assert [end for end in ends if not touches(end)] == []


def test_texts_fit_their_boxes_and_boxes_do_not_overlap() -> None:
    boxes = structure.BOXES
    for box in boxes:
        x, y, width, height = box.at
        assert 0 < x < x + width < structure.WIDTH
        assert 0 < y < y + height < structure.HEIGHT
        assert len(box.name) * WIDTHS["name"] <= width
        assert [line for line in box.lines if len(line) * WIDTHS["line"] > width] == []
        assert 15 * (len(box.lines) + 1) <= height
    for one in boxes:
        x, y, width, height = one.at
        for other in boxes[boxes.index(one) + 1 :]:
            a, b, wide, high = other.at
            apart = a >= x + width or x >= a + wide or b >= y + height or y >= b + high
            assert apart, (one.name, other.name)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_shot_is_the_page_in_its_own_light_and_dark_colours() -> None:
    for dark, paper in ((False, (247, 248, 250)), (True, (18, 21, 27))):
        name = next(name for name, each in pictures.SHOTS.items() if each == dark)
        picture = Image.open(FOLDER / name).convert("RGB")
        assert f"{picture.width},{picture.height}" == browser._SIZE
        assert picture.getpixel((2, 2)) == paper
    page = '<body style="margin:0;background:#000"><p style="background:#fff">text'
    assert browser.shot(page, dark=False).startswith(b"\x89PNG")


def test_without_a_browser_the_drawings_are_written_and_the_fault_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(browser.NoBrowser, match="no Chromium: expected one of chromium"):
        pictures.write(tmp_path, [*DRAWINGS, *pictures.SHOTS])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(DRAWINGS)
