"""The pages for people name commands, options and pages that exist, and every class of error."""

import ast
import re
from pathlib import Path

import pytest

from tests.pipeline.test_user_pages import NAMES, commands, helped

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("how-to", "troubleshooting", "differences")]
ERRORS = [
    ROOT / "pipeline" / "errors.py",
    ROOT / "steps" / "governance" / "errors.py",
    ROOT / "steps" / "governance" / "full_disk.py",
]
TASKS = (
    "corpus heading Studio CI spot GPUs roll secret disaster Forget".split()  # noqa: SIM905
)


def classes() -> set[str]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in ERRORS]
    found = (node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    return {node.name for node in found if not node.name.startswith("_")}


def test_every_class_of_error_has_a_cause_and_a_cure_and_no_other_is_listed() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", text, flags=re.MULTILINE)
    named = {name for name, cause, cure in rows if cause.strip() and cure.strip()}
    assert named - {"LOCATION_OVERLAP"} == classes()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("`", "\n").replace(')"', "")
    found = commands(text)
    texts = {name: helped(f"pipeline.{name}") for name, _ in found if name in NAMES}
    for name, options in found:
        assert name in NAMES, name
        for option in options:
            if name != "local":
                assert re.search(rf"{option}[ \],]", texts[name]), (name, option)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "commands.md"], ids=lambda p: p.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [each for each in targets if not (page.parent / each).exists()] == []


@pytest.mark.parametrize("task", TASKS)
def test_the_how_to_has_each_task(task: str) -> None:
    headings = re.findall(r"^## (.+)$", PAGES[0].read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert any(task in heading for heading in headings)
