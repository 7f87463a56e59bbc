"""The packages of SageMaker's own registry that repeat the answer's model versions, as of now.

    found, notes = of_answer(region, "governed-finetune-dev", answer)

The evidence does not have them: a package follows the ledger, and `pipeline.audit` compares both.
So who decided is the evidence's last decision about the version, not who changed the package.
One list call, which is a read and is repeated; a refusal is a note.
"""

from typing import Any

from steps.governance.errors import GovernanceError
from steps.trace.answer import Answer

_DECIDED = ("verb", "alias", "who", "at", "reason")


def of_answer(region: str, group: str, answer: Answer) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the packages of the answer's model versions, and what could not be read.

    Each is `model`, `version`, `arn`, `status` and `decided`: the person's last act, or None.
    """
    # boto3 takes a moment to import, and an answer from the index does not need it.
    from steps.governance.documents.model_package import parsed
    from steps.governance.model_packages.group import PackageGroup

    wanted = {(each["model"], each["version"], each["record_sha256"]) for each in answer.versions}
    try:
        listed = list(PackageGroup(region, group).statuses())
    except GovernanceError as error:
        return [], [f"packages of {group} are not shown: {error.what}"]
    found = []
    for arn, description, status in listed:
        described = parsed(description)
        if described is not None and described[:3] in wanted:
            model, version, _, _ = described
            package = {"model": model, "version": version, "arn": arn, "status": status}
            found.append(package | {"decided": _last_decision(answer, model, version)})
    return found, []


def _last_decision(answer: Answer, model: str, version: int) -> dict[str, Any] | None:
    """Return who approved or revoked the version last; people are in the order of their times."""
    decisions = [
        act
        for act in answer.people
        if (act["model"], act["version"]) == (model, version) and act["verb"] != "started"
    ]
    return {name: decisions[-1][name] for name in _DECIDED} if decisions else None
