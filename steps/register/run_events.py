"""Register's OpenLineage run events, sent where `--openlineage` names a receiver.

    registered = reported(registration, arguments.openlineage, workspace)

Each attempt sends its own events with one run id, so a registration that waits shows FAIL before
the COMPLETE of a later attempt.
"""

from dataclasses import replace

from steps.governance.openlineage import datasets
from steps.governance.openlineage.events import Content, Step
from steps.governance.openlineage.reporting import Reporting
from steps.governance.openlineage.target import Target
from steps.governance.unity_catalog.identity import Workspace
from steps.register.delivery.lease_guard import Interrupted
from steps.register.delivery.stop_watch import Stopping
from steps.register.register import Registered, Registration


def reported(registration: Registration, target: Target | None, workspace: Workspace) -> Registered:
    """Run the registration and report it. A stop is ABORT.

    Raises:
        GovernanceError: as `Registration.run` does.
    """
    facts = registration.facts
    arn = facts.execution.arn
    archive = datasets.archive(
        Step(arn, "train", facts.trained.training_job),
        facts.training_job["ModelArtifacts"]["S3ModelArtifacts"],
    )
    started = Content(inputs=[archive], git_commit=registration.worker.build.git_commit)
    reporting = Reporting(target, registration.region, stops=(Stopping, Interrupted))
    with reporting.run(Step(arn, "register"), started) as run:
        registered = registration.run(workspace)
        name = str(facts.execution.name("ModelName"))
        version = int(registered.outputs["model_version"])
        run.content = replace(started, outputs=[datasets.model_version(name, version)])
    return registered
