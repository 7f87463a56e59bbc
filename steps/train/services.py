"""What Train needs from outside its process, connected.

services = connect(arguments)       # before torch is imported
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from steps.train.arguments import Arguments

if TYPE_CHECKING:
    from datetime import datetime

    from steps.governance.credentials import Access
    from steps.governance.names import UcName
    from steps.governance.reading import Build, Reading


@dataclass(frozen=True)
class Services:
    """What is outside this process: the catalog (as our principal), the evidence bucket, the
    workspace, and the build of our image. `granted` looks up who allowed a reading.
    """

    catalog: Any
    evidence: Any
    workspace: Any
    build: Build
    granted: Callable[[UcName, Access, datetime], Reading]


def connect(arguments: Arguments) -> Services:
    """Read which code this is, and authenticate to the workspace.

    Raises:
        UsageError: the image's build.json is missing or malformed.
        IdentityRefused: the secret is missing, or the workspace refuses it.
    """
    from steps.governance import builds, granted
    from steps.governance.catalog import Catalog
    from steps.governance.evidence import Evidence
    from steps.governance.identity import connect

    build = builds.of_this_image()
    workspace = connect(
        host=arguments.databricks_host,
        secret_id=arguments.databricks_secret_id,
        region=arguments.region,
    )
    return Services(
        Catalog(workspace),
        Evidence(arguments.region),
        workspace,
        build,
        partial(granted.reading, workspace),
    )
