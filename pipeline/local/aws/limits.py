"""Limits of AWS's API model: a value that AWS refuses for its length, number or range is refused
here too.

    limits.check(shape, request)     # raises Invalid with the first member beyond its limit

`shape` is botocore's input shape of the operation (`limits.input_of`). botocore itself checks only
the lower bounds, so without this check a value of 3,000 characters would pass every test and be
refused in a real account.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pipeline.local.aws.errors import Invalid

_LENGTH = {"string": "length", "list": "length", "map": "size"}
_NUMBERS = {"integer", "long", "float", "double"}


@cache
def input_of(service: str, operation: str) -> Any:
    """Return the shape of an operation's request; None for an operation that AWS does not have."""
    from botocore.model import OperationNotFoundError

    try:
        return _model(service).operation_model(operation).input_shape
    except OperationNotFoundError:
        return None


@cache
def _model(service: str) -> Any:
    # Loading SageMaker's model takes 0.4 s, so it is loaded when it is first used.
    from botocore.session import (
        get_session,
    )

    return get_session().get_service_model(service)


def check(shape: Any, request: Any) -> None:
    """Refuse values beyond the model's bounds.

    Raises:
        Invalid: in AWS's words, with the member and the bound and without the value.
    """
    if fault := next(_faults(shape, request, ""), None):
        raise Invalid(f"1 validation error detected: Value at {fault}")


def _faults(shape: Any, value: Any, where: str) -> Iterator[str]:
    if shape is None or value is None:
        return
    yield from _out_of_bounds(shape, value, where)
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, member in shape.members.items():
            key = name if name in value else member.serialization.get("name", name)
            yield from _faults(
                member, value.get(key), f"{where}.{name[0].lower()}{name[1:]}".lstrip(".")
            )
    elif shape.type_name == "list" and isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _faults(shape.member, item, f"{where}.{number}.member")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _faults(shape.key, key, f"{where}.key")
            yield from _faults(shape.value, item, f"{where}.{key}")


def _out_of_bounds(shape: Any, value: Any, where: str) -> Iterator[str]:
    what = _LENGTH.get(shape.type_name)
    if what is None and shape.type_name not in _NUMBERS:
        return
    failed, word = f"'{where}' failed to satisfy constraint: Member must", f"have {what or 'value'}"
    try:
        size = len(value) if what else float(value)
    except (TypeError, ValueError):
        yield f"{failed} be of type {shape.type_name}"
        return
    if size > shape.metadata.get("max", size):
        yield f"{failed} {word} less than or equal to {shape.metadata['max']}"
    if size < shape.metadata.get("min", size):
        yield f"{failed} {word} greater than or equal to {shape.metadata['min']}"
