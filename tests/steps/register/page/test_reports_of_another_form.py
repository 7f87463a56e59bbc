"""A report of another form costs the page its sections, never the registration."""

from pathlib import Path
from typing import Any

import pytest

from steps.governance.documents.record import Record
from steps.governance.pages import render
from steps.register.facts import Facts
from steps.register.page import composed, written
from steps.register.worker import Worker
from tests.steps.register.support import executions

pytestmark = pytest.mark.environment
# of version 1, which has neither starter nor bills
STORED = Path(__file__).parents[3] / "golden" / "evidence" / "registered.1.json"


@pytest.fixture
def record() -> Record:
    return Record.from_bytes(STORED.read_bytes(), origin=STORED.name)


@pytest.fixture
def facts(worker: Worker, execution: executions.Execution) -> Facts:
    return worker.services.facts.read(execution.arn)


@pytest.mark.parametrize(
    "content",
    [
        b"not JSON",
        b"[1]",
        b'{"lengths": 7}',
        b'{"curve": [{"train_loss": "x", "step": 1}]}',
        b'{"by_year": [{}]}',
        b'{"sample": {"base": 1}}',
        b"[" * 100_000,
    ],
)
def test_the_page_states_it(record: Record, facts: Facts, content: bytes) -> None:
    made = composed.page(record, facts, written.parsed(content))
    titles = [section.title for section in render.whole(made)]
    assert titles[-2:] == ["What could not be read", "How to repeat it"]
    assert "Data" in titles
    assert "has a form that this worker does not know" in render.html(made)


def test_the_page_of_a_report_has_its_curves(record: Record, facts: Facts) -> None:
    report: dict[str, Any] = {"curve": [{"step": 1, "train_loss": 3.2}], "seconds": {"train": 7}}
    titles = [each.title for each in render.whole(composed.page(record, facts, report))]
    assert titles == [
        "What was asked",
        "Steps",
        "Data",
        "Training",
        "Precision, memory and time",
        "Lineage",
        "How to repeat it",
    ]
