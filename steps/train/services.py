"""What Train needs from outside its process, connected.

services = connect(arguments, stop)       # before torch is imported
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.train.arguments import Arguments
from steps.train.stopping import StopSignal

if TYPE_CHECKING:
    from steps.governance.documents.reading import Build


@dataclass(frozen=True)
class Services:
    """What is outside this process: the catalog (as our principal), the evidence bucket, the
    workspace, and the build of our image.
    """

    catalog: Any
    evidence: Any
    workspace: Any
    build: Build


def connect(arguments: Arguments, stop: StopSignal) -> Services:
    """Read which code this is, and authenticate to the workspace.

    Calls of these services wait while workspace or S3 do not answer. `stop` ends such a wait.

    Raises:
        UsageError: the image's build.json is missing or malformed.
        IdentityRefused: the secret is missing, or the workspace refuses it.
        Unavailable: the workspace did not answer within the budget of a job's start.
        Stopped: SIGTERM was received meanwhile.
    """
    from steps.governance.documents import builds
    from steps.governance.evidence import Evidence
    from steps.governance.unity_catalog.catalog import Catalog
    from steps.governance.unity_catalog.identity import connect
    from steps.governance.unity_catalog.retrying import Clock, Policy

    build = builds.of_this_image()
    workspace = connect(
        host=arguments.databricks_host,
        secret_id=arguments.databricks_secret_id,
        region=arguments.region,
        policy=Policy(
            arguments.waits.working,
            Clock(sleep=stop.sleep),
            starting_seconds=arguments.waits.starting,
        ),
    )
    evidence = Evidence(arguments.region, workspace.policy)
    return Services(Catalog(workspace), evidence, workspace, build)
