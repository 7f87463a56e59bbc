"""All kinds of tampering of evidence and files, each with the check that must find it."""

import gzip
import json
from typing import Any

from tests.steps.audit.support.history import PACKAGE
from tests.steps.audit.support.kinds_of_services import SERVICES
from tests.steps.audit.support.kinds_of_the_ledger import LEDGER
from tests.steps.audit.support.packages import PACKAGES
from tests.steps.audit.support.tampering import (
    Tamper,
    added,
    artifacts,
    edited,
    evidence,
    flipped,
    governed,
    longer,
    registered,
    truncated,
    written_twice,
)
from tests.steps.audit.support.world import GOVERNED, Entry
from tests.steps.register.support import archives

_HOSTILE = b'{"schema":"governed-finetune/registered/2","schema":"x"}'


def _document(name: str, code: str, path: str) -> list[Tamper]:
    changes: dict[str, Any] = {
        "one bit": flipped,
        "one byte more": longer,
        "truncated": truncated,
        "deleted": None,
        "hostile JSON": lambda _: _HOSTILE,
    }
    return [
        Tamper(f"{name}: {what}", code, evidence(path, change)) for what, change in changes.items()
    ]


def _version_key(name: str) -> Any:
    def key(entry: Entry) -> str:
        return f"{entry.location.removeprefix(f's3://{GOVERNED}/')}/{name}"

    return key


def _file_added(name: str) -> Any:
    key = _version_key(name)
    return lambda world, entry: added(world, key(entry), b"import os", GOVERNED)


def _packed_otherwise(archive: bytes) -> bytes:
    """The same members in other bytes."""
    return gzip.compress(gzip.decompress(archive), 1, mtime=1)


def _raw(entry: Entry) -> str:
    return f"raw/filings/{entry.raw_paths[0]}"


def _curated(entry: Entry) -> str:
    return f"curated/risk_factor_examples/{entry.curated_paths[0]}"


def _raw_commit(entry: Entry) -> str:
    return f"raw/filings/_delta_log/{entry.record.raw.version:020d}.json"


def _curated_commit(entry: Entry) -> str:
    version = entry.record.curated.version
    return f"curated/risk_factor_examples/_delta_log/{version:020d}.json"


def _lines(change: Any) -> Any:
    """Change the actions of a commit."""

    def changed(content: bytes) -> bytes:
        actions = [json.loads(line) for line in content.splitlines()]
        return "\n".join(json.dumps(action) for action in change(actions)).encode()

    return changed


def _without_last(actions: list[Any]) -> list[Any]:
    last = max(number for number, action in enumerate(actions) if "add" in action)
    return actions[:last] + actions[last + 1 :]


def _resized(actions: list[Any]) -> list[Any]:
    for action in actions:
        if "add" in action:
            action["add"]["size"] += 1
    return actions


def _one_more(actions: list[Any]) -> list[Any]:
    add = next(action for action in actions if "add" in action)
    return [*actions, {"add": add["add"] | {"path": add["add"]["path"] + ".more"}}]


def _by_another(actions: list[Any]) -> list[Any]:
    info = actions[0]["commitInfo"]
    return [{"commitInfo": info | {"execution_arn": "another"}}, *actions[1:]]


def _at_another_time(actions: list[Any]) -> list[Any]:
    return [{"commitInfo": actions[0]["commitInfo"] | {"timestamp": 1}}, *actions[1:]]


_DEEP = {"deep": True}
_FILES = [
    Tamper(f"raw file: {what}", "raw.files", governed(_raw, change), _DEEP)
    for what, change in (("one bit", flipped), ("longer", longer), ("deleted", None))
] + [
    Tamper(f"curated file: {what}", "curated.files", governed(_curated, change), _DEEP)
    for what, change in (("one bit", flipped), ("longer", longer), ("deleted", None))
]
_LOGS = [
    Tamper(f"raw log: {what}", "raw.log", governed(_raw_commit, change), _DEEP)
    for what, change in (
        ("commit deleted", None),
        ("commit truncated", truncated),
        ("a file less", _lines(_without_last)),
        ("a file more", _lines(_one_more)),
        ("another size", _lines(_resized)),
    )
] + [
    Tamper(f"curated log: {what}", "curated.log", governed(_curated_commit, change), _DEEP)
    for what, change in (
        ("commit deleted", None),
        ("commit truncated", truncated),
        ("a file less", _lines(_without_last)),
        ("a file more", _lines(_one_more)),
        ("another size", _lines(_resized)),
        ("another execution", _lines(_by_another)),
        ("another time", _lines(_at_another_time)),
    )
]
_REGISTRY_FILES = (
    [
        Tamper(
            f"version's {name}: {what}",
            "version.files",
            governed(_version_key(path), change),
            _DEEP,
        )
        for name, path in (
            ("weights", "artifacts/adapter/adapter_model.safetensors"),
            ("tokenizer", "artifacts/adapter/tokenizer.json"),
            ("signature", "artifacts/model.sig"),
        )
        for what, change in (("one bit", flipped), ("deleted", None))
    ]
    + [
        Tamper(
            f"version's {name}: {what}",
            "version.package",
            governed(_version_key(name), change),
            _DEEP,
        )
        for name in PACKAGE
        for what, change in (("one bit", flipped), ("longer", longer), ("deleted", None))
    ]
    + [
        Tamper(f"version's folder: {name} added", "version.files", _file_added(name), _DEEP)
        for name in ("code/sitecustomize.py", "artifacts/adapter/more.py", "input_example.json")
    ]
)
_ARCHIVE = [
    Tamper("archive: other bytes", "archive.digest", registered(archive=b"other bytes"), _DEEP),
    Tamper("archive: empty", "archive.digest", registered(archive=b""), _DEEP),
    Tamper(
        "archive: packed otherwise",
        "archive.digest",
        registered(archive=_packed_otherwise),
        _DEEP,
    ),
    Tamper(
        "archive: another whole archive",
        "archive.digest",
        registered(archive=archives.packed(archives.adapter_files())),
        _DEEP,
    ),
    Tamper(
        "member: one more",
        "archive.members",
        registered(members={"run.py": b"import os"}),
        _DEEP,
    ),
    Tamper(
        "member: a path outside",
        "archive.members",
        registered(members={"../run.py": b"import os"}),
        _DEEP,
    ),
    Tamper(
        "member: other weights of the same size",
        "archive.members",
        registered(
            members={
                "adapter_model.safetensors": flipped(
                    archives.adapter_files()["adapter_model.safetensors"]
                )
            }
        ),
        _DEEP,
    ),
    Tamper(
        "member: another size",
        "archive.members",
        registered(members={"tokenizer.json": b'{"version": "1.0" }'}),
        _DEEP,
    ),
]


def _base(name: str) -> Any:
    return lambda entry: f"{entry.base_prefix}/{name}"


_BASE = [
    Tamper(f"mirror.json: {what}", "base-model.mirror", artifacts(_base("mirror.json"), change))
    for what, change in (
        ("one bit", flipped),
        ("deleted", None),
        ("another name", edited(name="other")),
    )
] + [
    Tamper(
        f"base model: {what}", "base-model.files", artifacts(_base("config.json"), change), _DEEP
    )
    for what, change in (("one bit", flipped), ("deleted", None), ("longer", longer))
]
_DOCUMENTS = [
    *_document("record", "ledger.entry", "register/record.json")[:2],
    Tamper("record: truncated", "record.document", evidence("register/record.json", truncated)),
    Tamper("record: a key twice", "record.document", evidence("register/record.json", longer)),
    Tamper("record: deleted", "records.complete", evidence("register/record.json", None)),
    Tamper(
        "record: a newer schema",
        "record.document",
        evidence("register/record.json", edited(schema="governed-finetune/registered/3")),
    ),
    Tamper(
        "record: hostile JSON",
        "record.document",
        evidence("register/record.json", lambda _: _HOSTILE),
    ),
    *_document("envelope", "record.signature", "register/record.dsse.json"),
    *_document("Prepare's manifest", "prepare.manifest", "prepare/manifest.json"),
    *_document("Train's manifest", "train.manifest", "train/{job}/manifest.json"),
    *_document("membership", "membership.digest", "prepare/membership-{membership}.parquet"),
    *_document("model signature", "model.signature", "register/model.sig"),
    *_document("pinned object", "artifact.pin", "register/artifact.json"),
    Tamper(
        "record: written twice",
        "evidence.versions",
        lambda world, entry: written_twice(world, entry.key("register/record.json")),
    ),
    Tamper(
        "manifest: written twice",
        "evidence.versions",
        lambda world, entry: written_twice(world, entry.key("prepare/manifest.json")),
    ),
]
KINDS: list[Tamper] = [
    *_DOCUMENTS,
    *LEDGER,
    *SERVICES,
    *_FILES,
    *_LOGS,
    *_REGISTRY_FILES,
    *_ARCHIVE,
    *_BASE,
    *PACKAGES,
]
