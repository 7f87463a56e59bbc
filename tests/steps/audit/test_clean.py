"""Clean histories give no false alarm: reruns, interruptions, crashes, approvals, VACUUM.

Each history is a random sequence of what happens in a healthy environment. The default run has a
sample, `make test-long` has fifty.
"""

import random
from collections.abc import Callable, Iterator

import pytest

from steps.audit.findings import Outcome, exit_code
from steps.audit.order import CODES
from steps.audit.report.text import as_text
from steps.audit.services.store import Store
from steps.governance.documents.record import WITHDRAWN_TAG
from tests.steps.audit.support import history
from tests.steps.audit.support.history import IN_STUDIO, Options, finish, register
from tests.steps.audit.support.packages import SETTINGS, handed_over
from tests.steps.audit.support.tables import new_raw_version
from tests.steps.audit.support.world import EVIDENCE, GOVERNED, Entry, World, codes

MODEL = "edgar.models.busy"
SAMPLE, HISTORIES = 4, 50
CRASHES = ("version", "record", "ledger", "tags")


def rerun(world: World, draw: random.Random) -> None:
    register(world, MODEL)


def rerun_on_newer_filings(world: World, draw: random.Random) -> None:
    world.raw_files = new_raw_version(world)
    register(world, MODEL)


def rejected(world: World, draw: random.Random) -> None:
    _ended(world, draw, "Failed")


def stopped(world: World, draw: random.Random) -> None:
    _ended(world, draw, "Stopped")


def withdrawn(world: World, draw: random.Random) -> None:
    """Register gave up after the record, before the alias."""
    until = draw.choice(("record", "ledger", "tags"))
    take_back(world, register(world, MODEL, Options(until=until, status="Stopped")))


def take_back(world: World, entry: Entry) -> None:
    world.tag(entry, WITHDRAWN_TAG, "its pipeline step was answered with Failure")
    world.entries.remove(entry)  # nobody approves it


def running(world: World, draw: random.Random) -> None:
    _ended(world, draw, "Executing")


def _ended(world: World, draw: random.Random, status: str) -> None:
    """An execution with manifests and an archive, and without a version and a record."""
    arn = history.execution_arn()
    options = Options(status=status)
    made = history.prepare(world, arn, options)
    if draw.random() < 0.7:
        history.tune(world, arn, made, options)


def crashed_and_delivered_again(world: World, draw: random.Random) -> None:
    crash = draw.choice(CRASHES)
    entry = register(world, MODEL, Options(until=crash, status="Executing"))
    assert exit_code(findings := world.audit()) == 0, as_text(findings)
    finish(world, entry, Options(), after=crash)
    world.environment.stub.executions[entry.arn]["status"] = "Succeeded"


def delivered_twice(world: World, draw: random.Random) -> None:
    """Everything that Register repeats has no second effect, but an edge could be drawn twice."""
    entry = register(world, MODEL)
    finish(world, entry, Options(), after="ledger")
    with pytest.raises(Exception, match="PreconditionFailed"):
        world.s3.put_object(
            Bucket=EVIDENCE, Key=entry.key("register/record.json"), Body=b"", IfNoneMatch="*"
        )


def started_in_studio(world: World, draw: random.Random) -> None:
    register(world, MODEL, Options(in_studio=True))


def approved(world: World, draw: random.Random) -> None:
    world.decide(draw.choice(own(world)), "champion")


def approved_and_revoked(world: World, draw: random.Random) -> None:
    entry = draw.choice(own(world))
    world.decide(entry, "champion")
    world.decide(entry, "champion", revoke=True)


def old_record(world: World, draw: random.Random) -> None:
    model = f"edgar.models.old_{len(world.entries)}"
    world.new_model(model)
    register(world, model, Options(first_version=True))


def grants_changed(world: World, draw: random.Random) -> None:
    principal = world.environment.principal
    change = draw.choice(("add", "remove"))
    world.environment.change_grant("SCHEMA", "edgar.raw", principal, change, "EXTERNAL_USE_SCHEMA")


def own(world: World) -> list[Entry]:
    """The model's versions, at least one."""
    found = [entry for entry in world.entries if entry.record.model.name == MODEL]
    return found or [register(world, MODEL)]


EVENTS: list[Callable[[World, random.Random], None]] = [
    rerun,
    rerun_on_newer_filings,
    rejected,
    stopped,
    running,
    crashed_and_delivered_again,
    delivered_twice,
    started_in_studio,
    approved,
    approved_and_revoked,
    old_record,
    grants_changed,
    withdrawn,
]


def check_history(world: World, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a reproducible history
    world.new_model(MODEL)
    for event in [EVENTS[seed % len(EVENTS)], *draw.choices(EVENTS, k=2)]:
        event(world, draw)
    entry = own(world)[-1]
    findings = world.audit(target=entry.target, deep=True)
    assert exit_code(findings) == 0, as_text(findings)


def test_a_clean_history_is_clean_and_every_check_gives_a_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = Store.chunks

    def counted(store: Store, uri: str, version_id: str | None = None) -> Iterator[bytes]:
        read.append(uri)
        return plain(store, uri, version_id)

    monkeypatch.setattr(Store, "chunks", counted)
    with handed_over(world):
        findings = world.audit(deep=True, **SETTINGS)
    assert len(read) == len(set(read)), "records share the base model and raw files"
    assert exit_code(findings) == 0, as_text(findings)
    assert {finding.code for finding in findings} == set(CODES)
    assert codes(findings, Outcome.COULD_NOT) == set()


def test_an_execution_that_was_started_in_studio_is_clean(world: World) -> None:
    world.new_model("edgar.models.studio")
    entry = register(world, "edgar.models.studio", Options(in_studio=True))
    assert entry.record.execution.started_by.user_profile == IN_STUDIO["UserProfileArn"]
    findings = world.audit(target=entry.target)
    assert exit_code(findings) == 0, as_text(findings)


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_healthy_histories_are_clean(world: World, seed: int) -> None:
    check_history(world, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SAMPLE, HISTORIES))
def test_fifty_healthy_histories_are_clean(world: World, seed: int) -> None:
    check_history(world, seed)


@pytest.mark.parametrize("until", ["record", "ledger", "tags"])
def test_a_withdrawn_version_needs_no_alias(world: World, until: str) -> None:
    model = f"edgar.models.withdrawn_{until}"
    world.new_model(model)
    kept = register(world, model)
    take_back(world, entry := register(world, model, Options(until=until, status="Failed")))
    for target in (kept.target, entry.target):
        findings = world.audit(target=target)
        assert exit_code(findings) == 0, as_text(findings)
    execution = world.environment.stub.executions[entry.arn]
    execution["status"] = "Succeeded"
    found = codes(world.audit(target=entry.target), Outcome.MISMATCH)
    missing = "records.complete" if until == "record" else "version.alias"
    assert {"version.tags", missing} <= found, "the tag alone excuses nothing"
    execution["status"] = "Failed"


def test_what_version_1_did_not_record_is_a_note(world: World) -> None:
    early = next(each for each in world.entries if each.record.ledger is None)
    findings = [each for each in world.audit(target=early.target) if each.subject.endswith("/1")]
    notes = {each.code: each.found for each in findings if each.outcome is Outcome.NOTE}
    assert notes["record.signature"].startswith("unsigned")
    assert notes["membership.digest"] == "not recorded (version 1)"


def test_files_that_an_earlier_release_did_not_record_are_a_note(world: World) -> None:
    world.new_model("edgar.models.earlier")
    entry = register(world, "edgar.models.earlier", Options(package=False))
    findings = world.audit(target=entry.target, deep=True)
    assert exit_code(findings) == 0, as_text(findings)
    (line,) = [each for each in findings if each.code == "version.package"]
    assert (line.outcome, line.found[:12]) == (Outcome.NOTE, "not recorded")


@pytest.mark.parametrize(("days", "outcome"), [(1, Outcome.MISMATCH), (8, Outcome.GONE)])
def test_vacuum_before_and_after_the_declared_retention(
    world: World, days: int, outcome: Outcome
) -> None:
    entry = world.entries[0]
    key = f"raw/filings/{entry.raw_paths[0]}"
    before = world.read(key, GOVERNED)
    world.erase(key, GOVERNED)
    try:
        findings = world.audit(target=entry.target, deep=True, days=days)
    finally:
        world.put(key, before, GOVERNED)
    assert codes(findings, outcome) == {"raw.files"}
    assert exit_code(findings) == {Outcome.MISMATCH: 1, Outcome.GONE: 3}[outcome]
