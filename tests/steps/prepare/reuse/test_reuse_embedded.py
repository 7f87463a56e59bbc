"""The real process uses examples again: with the rights of now, and in a part of the time."""

import resource
from collections.abc import Iterator

import pytest
from databricks.sdk.service.catalog import PermissionsChange, Privilege, SecurableType

from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.environment import Environment, Run, environment

pytestmark = [pytest.mark.spark, pytest.mark.environment]

FIRST, MOST_SHARE, MOST_SECONDS = "aaaaaaaaaaaa", 0.4, 3.0
COMPANIES, YEARS = range(1001, 1121), range(2005, 2021)  # a reuse takes as long for any corpus


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    filings = [fakes.filing(cik, year) for cik in COMPANIES for year in YEARS]
    with environment(tmp_path_factory.mktemp("environment"), filings) as running:
        yield running


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def first(embedded: Environment) -> float:
    """The CPU seconds of the execution that makes the examples."""
    before = cpu_seconds()
    run = embedded.run(execution=FIRST)
    assert run.code == 0, run.stderr[-2000:]
    return cpu_seconds() - before


def reused(embedded: Environment, execution: str) -> Run:
    return embedded.run("--curated-from", FIRST, execution=execution)


def test_a_reuse_takes_a_part_of_the_first_run_s_time(embedded: Environment, first: float) -> None:
    before = cpu_seconds()
    run = reused(embedded, "bbbbbbbbbbbb")
    assert run.code == 0, run.stderr[-2000:]
    took = cpu_seconds() - before
    assert took <= MOST_SECONDS, (took, first)
    assert took <= MOST_SHARE * first, (took, first)
    manifest, earlier = embedded.manifest("bbbbbbbbbbbb"), embedded.manifest(FIRST)
    assert manifest["reused"]["execution_arn"].endswith(f"/{FIRST}")
    assert manifest["files"] == earlier["files"]
    assert embedded.evidence("bbbbbbbbbbbb", manifest["membership"]["path"])["ContentLength"]
    assert "Spark" not in run.stderr


@pytest.mark.parametrize(
    ("schema", "privilege"),
    [
        ("edgar.raw", Privilege.SELECT),
        ("edgar.raw", Privilege.EXTERNAL_USE_SCHEMA),
        ("edgar.curated", Privilege.EXTERNAL_USE_SCHEMA),
    ],
)
def test_a_right_that_was_revoked_since_is_refused(
    embedded: Environment, first: float, schema: str, privilege: Privilege
) -> None:
    principal = embedded.seeded.application_ids["prepare"]

    def change(**how: list[Privilege]) -> None:
        changes = [PermissionsChange(principal=principal, **how)]
        embedded.admin.grants.update(SecurableType.SCHEMA.value, schema, changes=changes)

    change(remove=[privilege])
    try:
        run = reused(embedded, "cccccccccccc")
    finally:
        change(add=[privilege])
    assert run.code == 1
    assert run.last_line.startswith("AccessDenied: ")
    assert privilege.value.replace("_", " ") in run.last_line


def test_an_unknown_execution_is_one_message(embedded: Environment, first: float) -> None:
    run = embedded.run("--curated-from", "zzzzzzzzzzzz")
    assert run.code == 1
    assert "has no examples to use again" in run.last_line
    assert "Traceback" not in run.stderr
