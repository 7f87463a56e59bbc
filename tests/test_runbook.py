"""docs/runbook.md has one section for each alert that the code logs, and no other."""

import ast
import logging
import re
from collections import Counter
from pathlib import Path

import pytest

from steps.governance import alerts, logs
from steps.governance.alerts import Alert

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "runbook.md").read_text()
_, *PARTS = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
SECTIONS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))
TABLE = ROOT / "steps" / "governance" / "alerts.py"


def _trees() -> list[ast.Module]:
    files = [*(ROOT / "steps").rglob("*.py"), *(ROOT / "pipeline").rglob("*.py")]
    return [ast.parse(path.read_text()) for path in files if path != TABLE]


def test_the_runbook_has_exactly_one_section_for_each_alert() -> None:
    assert Counter(re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)) == Counter(map(str, Alert))


@pytest.mark.parametrize("name", Alert)
def test_each_section_has_its_four_parts(name: Alert) -> None:
    assert re.findall(r"^\* \*\*(\w+)\*\*: ", SECTIONS[name], flags=re.MULTILINE) == [
        "Means", "See", "Do", "Clears"
    ]  # fmt: skip


def test_the_code_logs_each_alert_of_the_table_and_no_other() -> None:
    used = {
        node.attr
        for tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Alert"
    }
    assert used == set(Alert.__members__)


def test_no_line_calls_itself_an_alert_without_a_name_of_the_table() -> None:
    texts = [
        node.value
        for tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [text for text in texts if text.lstrip().startswith("ALERT")] == []


@pytest.mark.parametrize("name", Alert)
def test_each_alert_carries_its_name(
    name: Alert, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts.alert(name, "%s is here", "x")
    assert caplog.messages == [f"ALERT {name}: x is here"]
    monkeypatch.setattr(logs, "_place", logs._Place(format=logs.JSON))
    assert f'"alert": "{name}"' in logs.Lines().format(caplog.records[0])
    assert caplog.records[0].levelno == logging.ERROR
