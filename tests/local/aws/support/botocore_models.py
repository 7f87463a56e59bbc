"""Check answers against botocore's model: its parser ignores members that it does not know."""

import json
from typing import Any


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Check that a successful answer has all required members and none unknown to botocore."""
    if response_dict["status_code"] == 200:
        _check_shape(
            json.loads(response_dict["body"] or b"{}"),
            operation_model.output_shape,
            operation_model.name,
        )


def _check_shape(value: Any, shape: Any, where: str) -> None:
    if shape is None or shape.type_name == "map":
        return
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name) for name, member in shape.members.items()}
        assert value.keys() <= names, f"{where}: {value.keys() - names}"
        assert set(shape.required_members) <= value.keys(), (
            f"{where}: {set(shape.required_members) - value.keys()}"
        )
        for name, member in value.items():
            _check_shape(member, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for item in value:
            _check_shape(item, shape.member, f"{where}[]")
    else:
        kinds = {
            "string": str,
            "integer": int,
            "long": int,
            "boolean": bool,
            "timestamp": (int, float),
        }
        assert isinstance(value, kinds.get(shape.type_name, (int, float))), f"{where}: {value!r}"
