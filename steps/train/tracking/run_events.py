"""Train's OpenLineage run events, sent where the hyperparameter `openlineage` names a receiver.

    with reported(arguments, job_name, inputs=(prepared, base)) as finished:
        finished(trained)

One process of the job sends them; the others pass `leader=False`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

from steps.governance.documents.manifest import BaseModelFiles, Prepared, Trained
from steps.governance.openlineage import datasets
from steps.governance.openlineage.events import Content, Step
from steps.governance.openlineage.reporting import Reporting
from steps.train.arguments import Arguments
from steps.train.stopping import Stopped


@contextmanager
def reported(
    arguments: Arguments,
    training_job: str,
    *,
    inputs: tuple[Prepared, BaseModelFiles],
    leader: bool,
) -> Iterator[Callable[[Trained], None]]:
    """Report the run; the caller passes the manifest when the job is done. A stop is ABORT."""
    prepared, base = inputs
    step = Step(arguments.execution_arn, "train", training_job)
    started = Content(
        inputs=[datasets.curated(prepared), datasets.base_model(base.name, base.revision)],
        parameters=asdict(arguments),
    )
    target = arguments.openlineage if leader else None
    reporting = Reporting(target, arguments.region, stops=(Stopped,))
    with reporting.run(step, started) as run:

        def finished(trained: Trained) -> None:
            commit = trained.build.git_commit if trained.build else None
            run.content = replace(started, outputs=[datasets.archive(step)], git_commit=commit)

        yield finished
