"""What the README names exists: links, modules of commands, make targets, folders of the map."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def test_the_map_shows_every_folder_of_the_product() -> None:
    shown = {path for path in _map_paths() if path.startswith(("pipeline/", "steps/"))}
    packages = {
        str(path.parent.relative_to(REPOSITORY)) + "/"
        for folder in ("pipeline", "steps")
        for path in (REPOSITORY / folder).rglob("__init__.py")
    }
    # The two stand-ins give their folders in one line each.
    inside_stand_in = re.compile(r"pipeline/local/(aws|workspace)/.+")
    assert shown == {path for path in packages if not inside_stand_in.match(path)}


def test_the_map_and_the_reading_order_name_what_exists() -> None:
    text = (REPOSITORY / "README.md").read_text()
    order = re.findall(r"^\d+\. \[`([^`]+)`\]", text, re.MULTILINE)
    assert len(order) == 10
    missing = [path for path in [*_map_paths(), *order] if not (REPOSITORY / path).exists()]
    assert missing == []


def _map_paths() -> list[str]:
    """The folders of the README's map, each ending with a slash."""
    text = (REPOSITORY / "README.md").read_text()
    tree = text[text.index("## Map") :].split("```")[1]
    parents: list[str] = []
    paths = []
    for indent, name in re.findall(r"^([│├└─ ]*)([a-z_0-9]+/)", tree, re.MULTILINE):
        parents = [*parents[: len(indent) // 4], name]
        paths.append("".join(parents))
    return paths


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_make_targets_it_names_exist() -> None:
    named = set(re.findall(r"`?make ([a-z]+)", (REPOSITORY / "README.md").read_text()))
    targets = set(
        re.findall(r"^([a-z]+):.*##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    )
    assert {"run", "test"} <= named <= targets


def test_the_modules_it_names_have_a_help() -> None:
    named = set(re.findall(r"python -m (pipeline\.[a-z]+)", (REPOSITORY / "README.md").read_text()))
    assert {"pipeline.local", "pipeline.upsert", "pipeline.run"} <= named
    for module in named:
        shown = subprocess.run(
            [sys.executable, "-m", module, "--help"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, shown.stderr
        assert f"python -m {module}" in shown.stdout


def test_every_package_it_explains_is_locked() -> None:
    text = (REPOSITORY / "README.md").read_text()
    table = text[text.index("## Why each heavy dependency") :]
    named = {
        name
        for row in re.findall(r"^\| ([a-z][a-z0-9, -]+) \|", table, re.MULTILINE)
        for name in row.split(", ")
    }
    locked = (REPOSITORY / "requirements" / "environment.txt").read_text() + "\ntorch==\n"
    assert {name for name in named - {"package"} if f"\n{name}==" not in f"\n{locked}"} == set()
