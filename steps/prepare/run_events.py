"""Prepare's OpenLineage run events, sent where `--openlineage` names a receiver.

with reported(arguments) as finished:
    finished(run the job)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from steps.governance.documents.manifest import Prepared
from steps.governance.openlineage import datasets
from steps.governance.openlineage.events import Content, Step
from steps.governance.openlineage.reporting import Reporting
from steps.prepare.arguments import Arguments


@contextmanager
def reported(arguments: Arguments) -> Iterator[Callable[[Prepared], None]]:
    """Report the run; the caller passes the manifest when the job is done."""
    requested = {
        "raw_table": arguments.raw_table,
        "raw_version": arguments.raw_version,
        "curated_table": arguments.curated_table,
        "eval_fraction": arguments.eval_fraction,
        "seed": arguments.seed,
        "curated_from": arguments.curated_from,
    }
    started = Content(parameters=requested)
    reporting = Reporting(arguments.openlineage, arguments.region)
    with reporting.run(Step(arguments.execution_arn, "prepare"), started) as run:

        def finished(prepared: Prepared) -> None:
            run.content = replace(
                started,
                inputs=[datasets.table(prepared.source)],
                outputs=[datasets.curated(prepared)],
                parameters=requested | {"raw_version": prepared.source.version},
                git_commit=prepared.build.git_commit if prepared.build else None,
                spark_version=prepared.spark_version,
            )

        yield finished
