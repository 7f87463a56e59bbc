"""A registration whose Prepare used the examples of an earlier one again."""

from collections.abc import Mapping
from typing import Any

from steps.governance.documents.manifest import Prepared, Reused
from steps.governance.documents.record import ReusedFacts
from tests.steps.audit.support import history
from tests.steps.audit.support.documents import record
from tests.steps.audit.support.history import BASE, Options, execution_arn
from tests.steps.audit.support.tables import drawn
from tests.steps.audit.support.world import Entry, World


def register(
    world: World, earlier: Entry, false: Mapping[str, Any] | None = None, *, asked: str = ""
) -> Entry:
    """Make a registration of the same model; `false` are claims of its manifest's `reused`.

    `asked` is the parameter CuratedFrom, if not the earlier execution's id.
    """
    options, arn, model = Options(), execution_arn(), earlier.record.model.name
    made = _verified(world, earlier, arn, false)
    first = earlier.record.execution.arn
    train, archive, version_id = history.tune(world, arn, made, options)
    history._describe(world, arn, model, train, options)
    state = world.environment.stub.executions[arn]
    state["parameters"] |= {"CuratedFrom": asked or first[-12:]}
    version, location = history._version(
        world, model, arn, train, version_id=version_id, options=options
    )
    facts = {"arn": arn, "model": model, "version": version, "alias": options.alias}
    facts |= {"version_id": version_id, "archive": archive, "files": history._package(options)}
    written = drawn(world, record(facts, made, train, state))
    prepare = written.prepare.model_copy(update={"reused": _facts(earlier)})
    entry = Entry(
        arn=arn,
        record=written.model_copy(update={"prepare": prepare}),
        folder=f"executions/{arn[-12:]}",
        location=location,
        raw_paths=[each.path for each in made.raw_files or []],
        curated_paths=[each.path for each in made.files],
        base_prefix=BASE,
    )
    history._publish(world, entry, options)
    world.entries.append(entry)
    return entry


def _facts(earlier: Entry) -> ReusedFacts:
    return ReusedFacts(
        execution_arn=earlier.record.execution.arn,
        manifest_sha256=earlier.record.prepare.manifest_sha256,
        job_run_arn=earlier.record.prepare.job_run_arn,
        image=str(earlier.record.prepare.image),
        definition_sha256=earlier.record.execution.definition_sha256,
        entry_point=earlier.record.prepare.entry_point,
        release_label=earlier.record.prepare.release_label,
        pipeline_version_id=earlier.record.execution.pipeline_version_id,
    )


def _verified(world: World, earlier: Entry, arn: str, false: Mapping[str, Any] | None) -> Prepared:
    """Write what Prepare leaves behind: the list of filings, and a manifest that names both."""
    content = world.read(earlier.key("prepare/manifest.json"))
    first = Prepared.from_bytes(content, origin="earlier")
    reused = Reused(execution_arn=first.execution_arn, manifest_sha256=first.sha256)
    made = first.model_copy(
        update={
            "execution_arn": arn,
            "reused": reused.model_copy(update=dict(false or {})),
        }
    )
    assert made.membership is not None
    folder = f"executions/{arn[-12:]}/prepare"
    listed = world.read(earlier.key(f"prepare/{made.membership.path}"))
    world.put(f"{folder}/{made.membership.path}", listed)
    world.put(f"{folder}/manifest.json", made.to_bytes())
    return made
