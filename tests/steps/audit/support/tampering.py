"""One kind of tampering: what is changed, which check must find it, and how it is undone.

with tamper.applied(world, entry) as settings:
    findings = world.audit(**settings)
assert tamper.code in codes(findings)
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.steps.audit.support.world import EVIDENCE, GOVERNED, Entry, World
from tests.steps.register.support.register_environment import ARTIFACTS

Applied = AbstractContextManager[dict[str, Any]]
Change = Callable[[bytes], bytes]
_DIGEST = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True)
class Tamper:
    """One kind. `apply` returns the settings of the audit that must find it."""

    name: str
    code: str
    apply: Callable[[World, Entry], Applied]
    settings: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 1

    def __str__(self) -> str:
        return self.name


def flipped(content: bytes) -> bytes:
    """The content with one bit changed, in the middle or in the digest that follows it.

    A changed digit of a digest is a digit again, so a document stays JSON.
    """
    place = len(content) // 2
    if digest := _DIGEST.search(content, place):
        place = next(at for at in range(*digest.span()) if content[at : at + 1].isdigit())
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def longer(content: bytes) -> bytes:
    """The content with one byte more."""
    return content + b" "


def truncated(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]


def edited(**changes: Any) -> Change:
    """A JSON document with other top-level fields, as canonical bytes."""

    def change(content: bytes) -> bytes:
        document = json.loads(content) | changes
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    return change


@contextmanager
def replaced(
    world: World, key: str, change: Change | None, bucket: str = EVIDENCE
) -> Iterator[dict[str, Any]]:
    """A key with other content, or without any (None), and put back at the end."""
    before = world.read(key, bucket)
    if change is None:
        world.erase(key, bucket)
    else:
        world.replace(key, change(before), bucket)
    try:
        yield {}
    finally:
        world.replace(key, before, bucket)


def evidence(name: str, change: Change | None) -> Callable[[World, Entry], Applied]:
    """Change one document of the execution. `{job}` and `{membership}` are filled in."""

    def apply(world: World, entry: Entry) -> Applied:
        membership = entry.record.membership
        filled = name.format(
            job=entry.record.train.job_arn.rsplit("/", 1)[-1],
            membership=membership.sha256 if membership else "",
        )
        return replaced(world, entry.key(filled), change)

    return apply


def artifacts(key: Callable[[Entry], str], change: Change | None) -> Callable[..., Applied]:
    """Change an object of the artifact bucket."""
    return lambda world, entry: replaced(world, key(entry), change, ARTIFACTS)


def governed(key: Callable[[Entry], str], change: Change | None) -> Callable[..., Applied]:
    """Change an object of the governed bucket."""
    return lambda world, entry: replaced(world, key(entry), change, GOVERNED)


@contextmanager
def written_twice(world: World, key: str) -> Iterator[dict[str, Any]]:
    """The same bytes again, as a second version."""
    before = world.read(key)
    world.put(key, before)
    try:
        yield {}
    finally:
        world.replace(key, before)


@contextmanager
def added(
    world: World, key: str, content: bytes, bucket: str = EVIDENCE
) -> Iterator[dict[str, Any]]:
    """One more key."""
    world.put(key, content, bucket)
    try:
        yield {}
    finally:
        world.erase(key, bucket)


def service(path: str, value: Any) -> Callable[[World, Entry], Applied]:
    """Another answer of SageMaker or EMR Serverless: a dotted path in the stub's state."""

    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        executions = world.environment.stub.executions
        before = executions[entry.arn]
        changed = copy.deepcopy(before)
        *parents, last = path.split(".")
        part = changed
        for parent in parents:
            part = part[int(parent)] if isinstance(part, list) else part[parent]
        part[last] = value(part.get(last)) if callable(value) else value
        executions[entry.arn] = changed
        try:
            yield {}
        finally:
            executions[entry.arn] = before

    return apply


def tagged(key: str, value: str) -> Callable[[World, Entry], Applied]:
    """Another value of one tag of the model version, or a tag that it had not."""

    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        model = entry.record.model
        before = world.tags(model.name, model.version).get(key)
        world.tag(entry, key, value)
        try:
            yield {}
        finally:
            if before is None:
                world.untag(entry, key)
            else:
                world.tag(entry, key, before)

    return apply


def falsified(**claims: Any) -> Callable[[World, Entry], Applied]:
    """A new registration whose record is signed and makes false claims (`__` is a dot)."""

    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        from tests.steps.audit.support.history import Options, register

        paths = {name.replace("__", "."): value for name, value in claims.items()}
        made = register(world, "edgar.models.false", Options(false=paths))
        yield {"target": made.target}

    return apply


def registered(**options: Any) -> Callable[[World, Entry], Applied]:
    """A new registration whose objects differ from what its signed record claims."""

    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        from tests.steps.audit.support.history import Options, register

        made = register(world, "edgar.models.false", Options(**options))
        yield {"target": made.target}

    return apply
