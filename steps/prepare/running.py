"""Run the job with its real parts: workspace, Spark session, Delta store, evidence bucket."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from steps.governance.documents import builds
from steps.governance.documents.manifest import Prepared
from steps.governance.documents.reading import Build
from steps.governance.evidence import Evidence
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.governance.unity_catalog.retrying import Policy
from steps.prepare import preconditions, run_events
from steps.prepare.arguments import NOTHING, Arguments
from steps.prepare.reuse import reusing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from steps.prepare.delta.store import DeltaStore


def run(arguments: Arguments) -> Prepared:
    """Run the job, and report the run where `--openlineage` names a receiver."""
    with run_events.reported(arguments) as finished:
        prepared = _run(arguments)
        finished(prepared)
    return prepared


def _run(arguments: Arguments) -> Prepared:
    """Authenticate, check the preconditions and look at the tables while Spark starts.

    Where the examples of an earlier execution are used again, Spark is not started. If Spark
    started, it is stopped at the end, also after an error.
    """
    build = builds.of_this_image()
    if arguments.curated_from != NOTHING:
        workspace = _workspace(arguments)
        preconditions.check(arguments, workspace)
        evidence = Evidence(arguments.region, workspace.policy)
        return reusing.run(arguments, Catalog(workspace), evidence, build)
    return _prepared(arguments, build)


def _prepared(arguments: Arguments, build: Build) -> Prepared:
    # Imported here, because a reuse needs none of it
    from steps.prepare import session
    from steps.prepare.job import Job

    with ThreadPoolExecutor(1) as background:
        starting = background.submit(session.start)
        try:
            workspace = _workspace(arguments)
            catalog = Catalog(workspace)
            preconditions.check(arguments, workspace)
            evidence = Evidence(arguments.region, workspace.policy)
            store = _store(arguments.delta_engine, starting)
            return Job(arguments, catalog, store, evidence, build).run()
        finally:
            if starting.exception() is None:  # waits for it
                session.stop(starting.result())


def _workspace(arguments: Arguments) -> Workspace:
    return connect(
        host=arguments.databricks_host,
        secret_id=arguments.databricks_secret_id,
        region=arguments.region,
        policy=Policy(arguments.waits.working, starting_seconds=arguments.waits.starting),
    )


def _store(engine: str, starting: "Future[SparkSession]") -> "DeltaStore":
    if engine == "unity-connector":
        from steps.prepare.delta.unity_connector import ConnectorStore

        return ConnectorStore(starting.result())
    from steps.prepare.delta.delta_rs import DeltaRsStore

    return DeltaRsStore(starting)
