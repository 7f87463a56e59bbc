"""What Train needs from outside its process, connected.

services = connect(arguments)       # before torch is imported
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.train.arguments import Arguments

if TYPE_CHECKING:
    from steps.governance.reading import Build


@dataclass(frozen=True)
class Services:
    """What is outside this process: the catalog (as our principal), the evidence bucket, the
    workspace, and the build of our image.
    """

    catalog: Any
    evidence: Any
    workspace: Any
    build: Build


def connect(arguments: Arguments) -> Services:
    """Read which code this is, and authenticate to the workspace.

    Raises:
        UsageError: the image's build.json is missing or malformed.
        IdentityRefused: the secret is missing, or the workspace refuses it.
    """
    from steps.governance import builds
    from steps.governance.catalog import Catalog
    from steps.governance.evidence import Evidence
    from steps.governance.identity import connect

    build = builds.of_this_image()
    workspace = connect(
        host=arguments.databricks_host,
        secret_id=arguments.databricks_secret_id,
        region=arguments.region,
    )
    return Services(Catalog(workspace), Evidence(arguments.region), workspace, build)
