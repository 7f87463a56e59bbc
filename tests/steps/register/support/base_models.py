"""Base models as the worker describes them, without a store."""

import json
from typing import Any

from steps.governance.documents import canonical
from steps.governance.documents.manifest import BaseModelFiles
from steps.register.package import base_model
from steps.register.package.base_model import BaseModel
from tests.steps.register.support import archives

JOB = {
    "InputDataConfig": [
        {
            "ChannelName": "model",
            "DataSource": {"S3DataSource": {"S3Uri": "s3://artifacts/base-models/tiny/"}},
        }
    ]
}


class Stored:
    """The base model's small objects, by name; reads are counted."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.reads = files, list[str]()

    def read(self, uri: str, *, limit: int) -> bytes:
        name = uri.removeprefix("s3://artifacts/base-models/tiny/")
        self.reads.append(name)
        assert len(self.files[name]) <= limit
        return self.files[name]


def stored(files: dict[str, bytes]) -> tuple[Stored, BaseModelFiles]:
    """The files with their mirror.json, and their entry in Train's manifest."""
    entries = [entry.model_dump(exclude_none=True) for entry in archives.entries(files)]
    named: dict[str, Any] = {"name": "tiny", "revision": "0" * 40}
    mirror = json.dumps(named | {"files": entries}).encode()
    trained_on = BaseModelFiles(**named, mirror_sha256=canonical.sha256(mirror))
    return Stored(files | {"mirror.json": mirror}), trained_on


def read(files: dict[str, bytes]) -> BaseModel:
    """The base model of these files."""
    store, trained_on = stored(files)
    return base_model.read(store, JOB, trained_on)


def smallest() -> BaseModel:
    """The base model that `archives.adapter_files` fits."""
    return read(archives.base_files())
