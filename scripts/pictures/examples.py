"""The pages that are shown, made by the pages' own code from the tests' fixed documents.

report_page()          # HTML of a registered run
lineage_drawing()      # SVG of the same run's origins
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.configuration import config
from pipeline.execution.ran_with import RanWith
from pipeline.report import page
from scripts.golden import variables
from steps.governance.pages.document import Page
from steps.governance.pages.render import html
from steps.trace.aliases import as_recorded
from steps.trace.answer import Aliases, Answer, Question, composed
from steps.trace.history import History
from steps.trace.index.files import IndexFolder
from steps.trace.index.refresh import refresh
from steps.trace.page.drawing import draw
from steps.trace.questions import of_model
from steps.trace.store import FolderStore
from tests.pipeline.report import example
from tests.support.folders import write
from tests.support.histories import Execution, documents

_ENVIRONMENT = "PIPELINE_ENV"
_MODEL = "edgar.models.risk_analyst"
_VERSION = f"{_MODEL}@3"
# The tests' document has a bound below its loss, since it needs no run that passed the gate.
_SHOWN = {"MaxEvalLoss": "6.5", "ModelName": _MODEL}


def report_page() -> str:
    """Return the page of a registered run, as `pipeline.report` makes it."""
    found = example.succeeded()
    defaults, values = (
        {**each, **_SHOWN} for each in (found.run.ran.defaults, found.run.ran.values)
    )
    result = replace(found.run.result, model_name=_MODEL, model_alias="challenger")
    shown = replace(
        found,
        run=replace(found.run, ran=RanWith(defaults, values), result=result),
        traced=example.TRACED | {"drawing": lineage_drawing()},
        audited=[line for line in example.AUDITED if line["outcome"] == "ok"],
    )
    with _without_a_named_environment():
        document = page.composed(config.load("local", environ=variables()), shown)
    return html(Page.model_validate_json(json.dumps(document)))


@contextmanager
def _without_a_named_environment() -> Iterator[None]:
    """Remove $PIPELINE_ENV for a block: the page's commands leave `--env` out where it is set."""
    named = os.environ.pop(_ENVIRONMENT, None)
    try:
        yield
    finally:
        if named is not None:
            os.environ[_ENVIRONMENT] = named


def lineage_drawing() -> str:
    """Return the graph of one model version, as `pipeline.trace` draws it."""
    with tempfile.TemporaryDirectory() as folder:
        return str(draw(_answer(Path(folder))))


def _answer(folder: Path) -> Answer:
    execution = Execution(
        id="4x7k2m9p1q0z",
        raw=("edgar.raw.filings", 7),
        curated=("edgar.curated.examples", 3),
        filings={"320193/0000320193-22-000108": (30, 0), "1001/0000001001-22-000001": (0, 6)},
        jobs=["pipelines-4x7k2m9p1q0z-Train"],
        at="2026-11-29T12:00:00Z",
        model=(_MODEL, 3),
        alias="challenger",
    )
    write(folder / "evidence", documents(execution))
    index = refresh(FolderStore(folder / "evidence"), IndexFolder(folder / "index", "test"))
    history = History.of(index.rows)
    aliases = Aliases(as_recorded(history))
    starts = of_model(history, _VERSION, aliases)
    return composed(history, starts, Question("model", _VERSION), aliases)
