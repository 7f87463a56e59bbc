"""What the benchmarks audit: the history of the auditor's tests, on local servers with real HTTP.

with world(folder) as made:
    of_records(made, 100)
    of_base_model(made, {"a.safetensors": path})
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from steps.audit.services.hashing import Digest, digest
from tests.steps.audit.support.history import BASE, new_base_model, register
from tests.steps.audit.support.tables import new_raw_version
from tests.steps.audit.support.world import World, prepared_world
from tests.steps.register.support import register_environment
from tests.steps.register.support.register_environment import ARTIFACTS

_MODEL, _REVISION, _CHUNK = "edgar.models.analyst", "0" * 40, 1 << 20


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start the servers with an empty history of one model, and end them."""
    with register_environment.started(folder) as environment:
        made = prepared_world(environment)
        new_base_model(made)
        made.new_model(_MODEL)
        made.raw_files = new_raw_version(made)
        yield made


def of_records(world: World, number: int) -> None:
    """Register this many versions of the model, and approve the last one."""
    for _ in range(number):
        entry = register(world, _MODEL)
    world.decide(entry, "champion")


def of_base_model(world: World, files: Mapping[str, Path]) -> None:
    """Mirror a base model of these files; versions that are registered later are tuned from it."""
    listed = []
    for name, path in files.items():
        found = _digest(path)
        listed.append({"path": name, "sha256": found.sha256, "size": found.size})
        with path.open("rb") as content:
            world.s3.put_object(Bucket=ARTIFACTS, Key=f"{BASE}/{name}", Body=content)
    mirror = json.dumps({"name": "tiny", "revision": _REVISION, "files": listed}).encode()
    world.put(f"{BASE}/mirror.json", mirror, ARTIFACTS)
    sha256 = digest([mirror]).sha256
    world.base_files = {"name": "tiny", "revision": _REVISION, "mirror_sha256": sha256}


def _digest(path: Path) -> Digest:
    with path.open("rb") as source:
        return digest(iter(lambda: source.read(_CHUNK), b""))
