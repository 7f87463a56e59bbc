"""The audit of a version whose examples are of an earlier execution covers both executions."""

from typing import Any

import pytest

from steps.audit.findings import Finding, exit_code
from steps.audit.report.text import as_text
from tests.steps.audit.support import history, reuse
from tests.steps.audit.support.tampering import edited, flipped, replaced, written_twice
from tests.steps.audit.support.world import Entry, World, codes

MODEL = "edgar.models.reused"


@pytest.fixture(scope="module")
def earlier(session_world: World) -> Entry:
    session_world.new_model(MODEL)
    return history.register(session_world, MODEL)


@pytest.fixture(scope="module")
def again(session_world: World, earlier: Entry) -> Entry:
    return reuse.register(session_world, earlier)


def test_a_reuse_is_clean(world: World, again: Entry) -> None:
    findings = world.audit(target=again.target, deep=True)
    assert exit_code(findings) == 0, as_text(findings)


@pytest.mark.parametrize("change", [flipped, edited(template="other/1"), None])
def test_a_changed_earlier_manifest_is_found(
    world: World, earlier: Entry, again: Entry, change: Any
) -> None:
    with replaced(world, earlier.key("prepare/manifest.json"), change):
        findings = world.audit(target=again.target)
    assert exit_code(findings) in (1, 2), as_text(findings)
    assert any(each.code == "prepare.manifest" and each.outcome != "ok" for each in findings)


def test_an_earlier_manifest_that_was_written_twice_is_found(
    world: World, earlier: Entry, again: Entry
) -> None:
    with written_twice(world, earlier.key("prepare/manifest.json")):
        found = codes(world.audit(target=again.target))
    assert "prepare.manifest" in found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "FAILED"),
        ("executionRole", "arn:aws:iam::000000000000:role/other"),
        ("imageConfiguration", {"resolvedImageDigest": "sha256:" + "0" * 64}),
        ("jobDriver", {"entryPointArguments": ["--execution-arn", "another"]}),
        ("jobDriver", {"entryPoint": "s3://elsewhere/other.py"}),
        ("releaseLabel", "emr-spark-0.0.0"),
    ],
)
def test_an_earlier_job_that_is_another_is_found(
    world: World, earlier: Entry, again: Entry, name: str, value: Any
) -> None:
    job = world.environment.stub.executions[earlier.arn]["prepare_job"]
    before = job[name]
    submit = before["sparkSubmit"] if name == "jobDriver" else {}
    job[name] = {"sparkSubmit": {**submit, **value}} if submit else value
    try:
        found = codes(world.audit(target=again.target))
    finally:
        job[name] = before
    assert "prepare-job.fields" in found


def test_another_definition_of_the_earlier_execution_is_found(
    world: World, earlier: Entry, again: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = world.environment.stub.executions[earlier.arn]
    monkeypatch.setitem(state, "definition", state["definition"] + " ")
    found = _prepare_job(world, again)
    assert (found.outcome, found.expected[:18]) == ("mismatch", "earlier definition")


def _prepare_job(world: World, again: Entry) -> Finding:
    findings = world.audit(target=again.target)
    return next(each for each in findings if each.code == "prepare-job.fields")


def test_an_earlier_job_that_emr_forgot_hides_nothing_of_this_execution(
    world: World, earlier: Entry, again: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    executions = world.environment.stub.executions
    forgotten = executions[earlier.arn]["prepare_job"]
    monkeypatch.setitem(forgotten, "jobRunId", "00forgotten")
    found = _prepare_job(world, again)
    assert found.outcome == "gone"
    assert earlier.arn[-12:] in found.expected
    monkeypatch.setitem(executions[again.arn]["prepare_job"], "state", "FAILED")
    found = _prepare_job(world, again)
    assert (found.outcome, found.expected) == ("mismatch", "state SUCCESS")


@pytest.mark.parametrize(
    "false",
    [{"manifest_sha256": "0" * 64}, {"execution_arn": history.execution_arn()}],
    ids=["manifest", "execution"],
)
def test_a_manifest_that_names_another_origin_is_found(
    world: World, earlier: Entry, false: dict[str, Any]
) -> None:
    entry = reuse.register(world, earlier, false)
    assert "prepare.manifest" in codes(world.audit(target=entry.target))


def test_an_origin_that_nobody_asked_for_is_found(world: World, earlier: Entry) -> None:
    entry = reuse.register(world, earlier, asked="none")
    findings = world.audit(target=entry.target)
    assert "prepare.manifest" in codes(findings), as_text(findings)
