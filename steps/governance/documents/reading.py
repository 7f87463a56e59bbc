"""Who allowed a step to read a table, and which code read it.

A principal's grants can change at any time, and Unity Catalog keeps no history of them that an
auditor can query years later. So each reading step writes down the effective grants that it held,
and the scope of the credential that Unity Catalog vended for them, at the time it read.
"""

from typing import Annotated, Literal

from pydantic import Field

from steps.governance.documents.document import Count, Part, Sha256


class Grant(Part):
    """One effective privilege: what is allowed, on what, and where it is inherited from.

    `holder` is who was granted it: the principal itself, or a group such as `account users`. The
    privilege OWNER means that the principal owns `securable`.
    `securable_type` and `securable` name where the GRANT was made, so a privilege that a table
    inherits from its catalog has CATALOG here. Source: Unity Catalog's effective permissions.
    """

    privilege: str
    holder: str
    securable_type: Literal["METASTORE", "CATALOG", "SCHEMA", "TABLE", "EXTERNAL_LOCATION"]
    securable: str


class VendedCredential(Part):
    """The first credential that Unity Catalog vended for a reading; its keys are never recorded.

    `location` is its scope. Times are RFC 3339 in UTC. `renewals` counts the later ones.
    """

    location: str
    operation: Literal["READ", "READ_WRITE"]
    issued_at: str
    expires_at: str
    renewals: Count


class Reading(Part):
    """One reading of a table: by whom, of what, when, and with which rights.

    `grants` is None if Unity Catalog did not show the grants; `grants_unknown` then has the reason.
    Both are there if it showed the principal's own grants, but not those of everybody.
    """

    principal: str
    table: str
    read_at: str
    credential: VendedCredential
    grants: list[Grant] | None = None
    grants_unknown: str | None = None


class Build(Part):
    """The code of an image: its commit, whether the work tree was clean, its lock's sha256.

    `git_commit` is None where no repository is, as in an unpacked release.
    """

    git_commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    clean: bool
    lock_sha256: Sha256
