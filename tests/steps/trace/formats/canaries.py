"""Put a canary into each text of a record and its manifests, one at a time."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from steps.governance.errors import IntegrityError
from steps.trace.record_evidence import RecordEvidence
from tests.steps.trace.formats.fixed_evidence import parsed, prepared, record, trained

CANARY = "canary5ecret"
_ARN = f"arn:aws:sagemaker:us-east-1:111111111111:pipeline/{CANARY}/execution/4x7k2m9p1q0z"


def with_canaries() -> Iterator[tuple[str, RecordEvidence]]:
    """Yield the path of each text that a document may hold freely, and the evidence with a canary.

    Texts with a pattern, such as digests, refuse a canary and are left out.
    """
    documents = {"record": record(2), "prepared": prepared(2), "trained": trained(2)}
    for name, document in documents.items():
        for path in _texts(document):
            changed = {each: copy.deepcopy(content) for each, content in documents.items()}
            _put(changed[name], path, _ARN if path[-1] == "arn" and len(path) == 2 else CANARY)
            try:
                evidence = parsed(changed["record"], changed["prepared"], changed["trained"])
            except IntegrityError:
                continue
            unsigned = replace(evidence, envelope=None)  # so that slsa is composed
            yield f"{name}.{'.'.join(map(str, path))}", unsigned


def _texts(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, str):
        yield path
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from _texts(value, (*path, number))


def _put(document: Any, path: tuple[Any, ...], value: str) -> None:
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value
