"""A report of another form costs the page its sections, never the registration."""

from pathlib import Path
from typing import Any, get_args

import pytest

from steps.governance.documents.record import Record
from steps.governance.pages import render, run_sections
from steps.register.facts import Facts
from steps.register.page import composed, written
from steps.register.worker import Worker
from steps.train.report.findings import Findings
from tests.steps.register.support import executions

pytestmark = pytest.mark.environment
# of version 1, which has neither starter nor bills
KNOWN = {"schema": run_sections.REPORT_SCHEMA}
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
        b"{}",
        b'{"schema": "governed-finetune/training-report/2", "lengths": 7}',
        b'{"schema": 1, "curve": [{"train_loss": "x", "step": 1}]}',
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
    report: dict[str, Any] = KNOWN | {
        "curve": [{"step": 1, "train_loss": 3.2}],
        "seconds": {"train": 7},
    }
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


def test_the_form_is_the_one_that_train_writes() -> None:
    stated = Findings.model_fields["schema_"].annotation
    assert get_args(stated) == (run_sections.REPORT_SCHEMA,)


@pytest.mark.parametrize(
    "content",
    [{"lengths": 7}, {"curve": [{"train_loss": "x", "step": 1}]}, {"by_year": [{}]}],
)
def test_an_error_of_ours_is_not_called_another_form(
    record: Record, facts: Facts, content: dict[str, Any]
) -> None:
    made = composed.page(record, facts, KNOWN | content)
    with pytest.raises((AttributeError, ValueError, KeyError)):
        render.html(made)


def test_the_sections_are_made_once(
    record: Record, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    sections = run_sections.sections
    monkeypatch.setattr(
        run_sections, "sections", lambda found: made.append(found) or sections(found)
    )
    render.html(composed.page(record, facts, KNOWN | {"seconds": {"train": 7}}))
    assert len(made) == 1
