"""The pages for people name commands, options and pages that exist, and every class of error."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.configuration.sections.waits import Waits
from tests.pipeline.report import example
from tests.pipeline.test_user_pages import NAMES, commands, helped

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("how-to", "troubleshooting", "differences")]
ROOTS = {"PipelineError", "GovernanceError"}
INNER = {"NotAnswered"}  # Prepare makes a warning of it
# What the stand-ins answer, and the register worker's own: waits, or in the runbook
HOURS = {21_600: "six"}
OTHERS = ("pipeline/local/aws", "pipeline/local/workspace", "steps/register")
TASKS = (
    "corpus heading Studio CI spot GPUs roll secret disaster Forget".split()  # noqa: SIM905
)


def classes() -> set[str]:
    """Every class that a person can meet: those of both trees, in each file that adds one."""
    parents: dict[str, set[str]] = {}
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "steps").rglob("*.py")]:
        if any(path.is_relative_to(ROOT / folder) for folder in OTHERS):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                names = {base.id for base in node.bases if isinstance(base, ast.Name)}
                parents.setdefault(node.name, set()).update(names)
    found = set(ROOTS)
    while more := {name for name, above in parents.items() if above & found} - found:
        found |= more
    return {name for name in found - INNER if not name.startswith("_")}


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


def test_the_form_of_a_run_is_that_of_the_json() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    table = text[text.index("| RUN |") :].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == example.succeeded().run.document().keys()


def test_the_help_of_run_has_the_time_that_register_tries() -> None:
    default = Waits().register_seconds
    assert f"After {HOURS[default]} hours (`waits.register_seconds`" in helped("pipeline.run")
