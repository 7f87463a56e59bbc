"""What the README says exists: its links, its commands' modules, the make targets it names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


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
