"""The packages of SageMaker's own registry that repeat the answer's model versions, as of now.

    found, notes = of_versions(region, "governed-finetune-dev", answer.versions)

The evidence does not have them: a package follows the ledger, and `pipeline.audit` compares both.
One list call, which is a read and is repeated; a refusal is a note.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from steps.governance.errors import GovernanceError


def of_versions(
    region: str, group: str, versions: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return ARN and status of the packages of some model versions, and what could not be read."""
    # boto3 takes a moment to import, and an answer from the index does not need it.
    from steps.governance.documents.model_package import parsed
    from steps.governance.model_packages.group import PackageGroup

    wanted = {(each["model"], each["version"], each["record_sha256"]) for each in versions}
    try:
        listed = list(PackageGroup(region, group).statuses())
    except GovernanceError as error:
        return [], [f"packages of {group} are not shown: {error.what}"]
    found = []
    for arn, description, status in listed:
        described = parsed(description)
        if described is not None and described[:3] in wanted:
            model, version, _, _ = described
            found.append({"model": model, "version": version, "arn": arn, "status": status})
    return found, []
