"""Records with their signatures, the ledger, model versions, tags and lineage."""

import itertools
from collections import Counter
from collections.abc import Iterator

from steps.governance.names import metadata_name
from steps.governance.unity_catalog.lineage import Edge
from steps.reconcile.differences import Difference, Remedy
from steps.reconcile.inventory import Inventory
from steps.reconcile.sources.evidence import Recorded
from steps.reconcile.sources.registry import PENDING, READY, Version

_AUDIT = "run pipeline.audit"
# tags whose value the record does not repeat in the same form
_ONLY_PRESENT = ("base_model", "eval_loss", "curated_version")


def record_signature(inventory: Inventory) -> Iterator[Difference]:
    """Each record of version 2 has its signed statement."""
    for recorded in _settled(inventory):
        if recorded.record.ledger is None:
            continue
        for name in ("record.dsse.json",):
            if not inventory.evidence.has(recorded.execution, f"register/{name}"):
                yield _worker(inventory, "record.signature", recorded, f"{name} is missing")


def record_ledger(inventory: Inventory) -> Iterator[Difference]:
    """Records and decisions have one ledger entry each, and each entry has its document."""
    evidence = inventory.evidence
    for recorded in _settled(inventory):
        entries = evidence.entries_of(recorded.key)
        if recorded.record.ledger is not None and not entries:
            yield _worker(inventory, "record.ledger", recorded, "the ledger has no entry of it")
        if len(entries) > 1:
            yield _person("record.ledger", recorded, f"the ledger has {len(entries)} entries of it")
    if inventory.arguments.execution or inventory.arguments.model:
        return
    for each in evidence.ledger:
        if each.entry.document not in evidence.keys:
            what = f"entry {each.entry.number} is about {each.entry.document}, which is missing"
            yield Difference("record.ledger", "ledger", what, advice=_AUDIT)
    for key in evidence.approvals():
        if not evidence.entries_of(key):
            advice = "the approver runs pipeline.approve with the same words again"
            yield Difference("record.ledger", key, "the ledger has no entry of it", advice=advice)


def record_version(inventory: Inventory) -> Iterator[Difference]:
    """Each record has its READY version, each READY version its record, and none is unfinished."""
    for recorded in _settled(inventory):
        model = recorded.record.model
        found = inventory.models[model.name].versions.get(model.version)
        if found is None or found.status != READY:
            status = found.status if found else "gone"
            yield _person("record.version", recorded, f"its version is {status}")
    for name, found_model in inventory.models.items():
        recorded_numbers = {
            each.record.model.version
            for each in inventory.evidence.records.values()
            if each.record.model.name == name
        }
        for version in found_model.versions.values():
            if version.number not in recorded_numbers:
                yield from _unrecorded(inventory, name, version)


def version_tags(inventory: Inventory) -> Iterator[Difference]:
    """Each recorded version has the tags that its registration gives it."""
    for recorded in _settled(inventory):
        model = recorded.record.model
        version = inventory.models[model.name].versions.get(model.version)
        if version is None:
            continue
        for key, value in _tags(inventory, recorded).items():
            if key not in version.tags:
                yield _worker(inventory, "version.tags", recorded, f"tag {key} is missing")
            elif value is not None and version.tags[key] != value:
                what = f"tag {key} is {version.tags[key][:80]!r}, recorded is {value[:80]!r}"
                yield _person("version.tags", recorded, what)


def record_lineage(inventory: Inventory) -> Iterator[Difference]:
    """Each record's lineage exists once, and no node belongs to an unfinished registration."""
    evidence, nodes = inventory.evidence, inventory.nodes
    for recorded in _settled(inventory):
        for label in recorded.record.lineage.nodes:
            if label.removeprefix("job:") not in nodes:
                yield _worker(inventory, "record.lineage", recorded, f"node {label} is missing")
        yield from _edges(inventory, recorded)
    for name, identity in sorted(nodes.items(), key=lambda each: (each[1], each[0])):
        recorded_nodes = evidence.records.get(identity)
        if recorded_nodes and f"job:{name}" in recorded_nodes.record.lineage.nodes:
            continue
        if _left_out(inventory, identity) or identity in _unread(inventory):
            continue
        known = _worker_removes(inventory, identity)
        yield Difference(
            "record.lineage",
            identity or name,
            f"node job:{name} belongs to no record",
            Remedy.WORKER if known else Remedy.PERSON,
            identity if known else "",
            "" if known else "find out who made it",
        )


def _edges(inventory: Inventory, recorded: Recorded) -> Iterator[Difference]:
    record = recorded.record
    prepare, train = metadata_name(record.prepare.job_run_arn), metadata_name(record.train.job_arn)
    version = f"model_version:{record.model.name}/{record.model.version}"
    ends = [f"table:{record.raw.table}", f"job:{prepare}", f"table:{record.curated.table}"]
    chain = [*ends, f"job:{train}", version]
    expected = [Edge(*pair) for pair in itertools.pairwise(chain)]
    found: Counter[Edge] = Counter()
    for node in (prepare, train):
        if node in inventory.nodes:
            found.update(inventory.registry.edges(node))
    for edge in expected:
        text = f"edge {edge.source} → {edge.target}"
        if not found[edge]:
            yield _worker(inventory, "record.lineage", recorded, f"{text} is missing")
        elif found[edge] > 1:
            what = f"{text} is there {found[edge]} times"
            yield _worker(inventory, "record.lineage", recorded, what)
    for edge in found.keys() - set(expected):
        what = f"edge {edge.source} → {edge.target} is not recorded"
        yield _person("record.lineage", recorded, what)


def _unrecorded(inventory: Inventory, name: str, version: Version) -> Iterator[Difference]:
    """A version without a record: an unfinished one is removed, any other is a person's."""
    identity = version.tags.get("execution_arn", "").rsplit("/", 1)[-1]
    if _left_out(inventory, identity) or identity in _unread(inventory):
        return
    subject = f"{name}/{version.number}"
    if version.status == PENDING and _worker_removes(inventory, identity):
        what = "the version is unfinished, and its execution has ended"
        yield Difference("record.version", subject, what, Remedy.WORKER, identity)
        return
    yield Difference(
        "record.version",
        subject,
        f"the version is {version.status}, and has no record",
        execution=identity,
        advice="delete it if nobody needs it",
    )


def _worker_removes(inventory: Inventory, identity: str) -> bool:
    """Whether the worker removes what an execution left unfinished.

    A step that succeeded and has no record is a person's: evidence may have been removed.
    """
    execution = inventory.executions.get(identity)
    if execution is None or execution.register is None:
        return False
    return identity in inventory.evidence.records or not execution.registered


def _left_out(inventory: Inventory, identity: str) -> bool:
    arguments = inventory.arguments
    if arguments.execution not in (None, identity):
        return True
    return bool(identity) and not inventory.settled(identity)


def _unread(inventory: Inventory) -> set[str]:
    """The ids of executions whose record could not be read, so nothing is known of it."""
    prefix = inventory.evidence.prefix
    return {key.removeprefix(prefix).split("/", 1)[0] for key in inventory.evidence.unread}


def _tags(inventory: Inventory, recorded: Recorded) -> dict[str, str | None]:
    record = recorded.record
    expected: dict[str, str | None] = {
        "key": record.key,
        "execution_arn": record.execution.arn,
        "artifact_sha256": record.artifact.sha256,
        "manifest_sha256": record.train.manifest_sha256,
        "record_sha256": recorded.sha256,
        **dict.fromkeys(_ONLY_PRESENT),
    }
    entries = inventory.evidence.entries_of(recorded.key)
    if record.ledger is not None:
        expected["ledger_entry"] = entries[0].tag if entries else None
    return expected


def _settled(inventory: Inventory) -> Iterator[Recorded]:
    for identity, recorded in inventory.evidence.records.items():
        if inventory.chosen(identity) and inventory.settled(identity):
            yield recorded


def _worker(inventory: Inventory, pair: str, recorded: Recorded, what: str) -> Difference:
    """What the worker can complete, as long as SageMaker knows the execution."""
    if recorded.execution not in inventory.executions:
        advice = "SageMaker lists the execution no more, so no message can be confirmed"
        return Difference(pair, _subject(recorded), what, advice=advice)
    return Difference(pair, _subject(recorded), what, Remedy.WORKER, recorded.execution)


def _person(pair: str, recorded: Recorded, what: str) -> Difference:
    return Difference(pair, _subject(recorded), what, execution=recorded.execution, advice=_AUDIT)


def _subject(recorded: Recorded) -> str:
    model = recorded.record.model
    return f"{model.name}/{model.version}"
