"""A role as somebody deployed it who forgot a right."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PREFIX = "governed-finetune-local"


@contextmanager
def without(server: Any, role: str, action: str) -> Iterator[None]:
    """In the block no policy of the role allows the action."""
    iam, name = server.client("iam"), f"{PREFIX}-{role}"
    kept: dict[str, str] = {}
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        whole = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        statements = [_less(each, action) for each in whole["Statement"]]
        if any(action in _actions(each) for each in whole["Statement"]):
            kept[policy] = json.dumps(whole)
            left = json.dumps(whole | {"Statement": [each for each in statements if each]})
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=left)
    assert kept, f"{role} has no {action}"
    try:
        yield
    finally:
        for policy, document in kept.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)


def _actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


def _less(statement: dict[str, Any], action: str) -> dict[str, Any] | None:
    """The statement without the action; None if nothing is left."""
    left = [each for each in _actions(statement) if each != action]
    return statement | {"Action": left} if left else None
