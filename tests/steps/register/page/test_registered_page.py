"""Register's page: next to the record, written once, whole, and without a secret."""

from typing import Any

import pytest

from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import deliver

pytestmark = pytest.mark.environment


def _page(execution: executions.Execution) -> dict[str, Any]:
    key = f"executions/{execution.id}/register/report.html"
    s3 = execution.environment.client("s3")
    found: dict[str, Any] = s3.get_object(Bucket=register_environment.EVIDENCE, Key=key)
    return found


def test_the_page_shows_the_record_and_the_answer_links_it(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    stored = _page(execution)
    text = stored["Body"].read().decode()
    record = execution.evidence("record.json")
    assert stored["ContentType"] == "text/html; charset=utf-8"
    for shown in (
        f"Execution {execution.id}: registered",
        f"registered as {execution.model} version 1, alias challenger",
        record["artifact"]["sha256"],
        record["execution"]["arn"],
        "What was asked",
        f"python -m pipeline.audit --deep --model {execution.model}@1",
    ):
        assert shown in text
    (answer,) = execution.answers()
    outputs = {each["Name"]: each["Value"] for each in answer["OutputParameters"]}
    host = execution.environment.host
    prefix = f"executions%2F{execution.id}%2Fregister%2Freport.html"
    assert outputs["report_url"] == (
        f"{host}/s3/object/{register_environment.EVIDENCE}?region=us-east-1&prefix={prefix}"
    )
    path = execution.model.replace(".", "/")
    assert outputs["model_url"] == f"{host}/explore/data/models/{path}/version/1"
    assert outputs["run_url"] == f"{host}/ml/experiments/17/runs/0123456789abcdef"


def test_the_page_loads_nothing_and_has_no_secret(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    deliver(worker)
    text = _page(execution)["Body"].read().decode()
    assert len(text) < 1.5e6
    for forbidden in ("<script", "src=", "href=", "url(", execution.token.lower(), "secret"):
        assert forbidden not in text.lower(), forbidden
    for value in execution.environment.worker_keys.values():
        assert value not in text


def test_a_page_that_is_there_stays(worker: Worker, execution: executions.Execution) -> None:
    key = f"executions/{execution.id}/register/report.html"
    execution.environment.client("s3").put_object(
        Bucket=register_environment.EVIDENCE, Key=key, Body=b"made before"
    )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    assert _page(execution)["Body"].read() == b"made before"


def test_a_delivery_after_a_crash_writes_the_page_from_the_archive(
    worker: Worker, execution: executions.Execution
) -> None:
    """The first delivery had written the record and crashed before the page."""
    execution.environment.faults(
        {"method": "POST", "path": "model-versions/set-tag$", "times": 30, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    page = _page(execution)
    s3 = execution.environment.client("s3")
    key = f"executions/{execution.id}/register/report.html"
    version = {"VersionId": page["VersionId"]} if "VersionId" in page else {}
    s3.delete_object(Bucket=register_environment.EVIDENCE, Key=key, **version)
    execution.environment.faults()
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert _page(execution)["Body"].read() == page["Body"].read()
