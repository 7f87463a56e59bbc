"""What bootstrap and runs made, in the order in which it can go, and what stays.

First what gives rights and what costs: principals, the pipeline, and the layers from the last to
the first. Then the workspace's objects, each of which may be in use still, or another's. It stays
then, with the reason, and the others are removed. Only what has bootstrap's mark or tags goes.

What evidence names in the catalog stays: pipeline/cleanup/evidence.py has the reason. Evidence is
locked, and its bucket's policy lets nobody remove it. So the layer that has it (`foundation`) and
the roles which that layer names (`identity`) stay, with the governed and artifact buckets that
their policies protect, and the group of model packages, whose packages may be deployed somewhere.

What is absent is not deleted again, so a crash or a lost answer is repaired by a repetition.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from pipeline import command, rights
from pipeline.bootstrap import experiments, ownership
from pipeline.bootstrap import workspace as made
from pipeline.bootstrap.change import Change, Changes, Part
from pipeline.bootstrap.identities import emptied, existing, name_of
from pipeline.bootstrap.site import Site
from pipeline.cleanup import catalogs, evidence
from pipeline.cleanup.kept import foreign, stays, tried
from pipeline.doctor import layers
from pipeline.errors import Refused

_WORKSPACE = "a metastore admin who is a workspace admin too"
_AWS = "an administrator of the AWS account: cloudformation:DeleteStack, sagemaker:DeletePipeline"
_STAY = ("foundation", "identity")
_LOGS = ("/aws/sagemaker/TrainingJobs", "/aws/emr-serverless")  # as `watch` has them
_ENDED = ("Succeeded", "Failed", "Stopped")


def parts(site: Site, *, catalog: bool = False) -> list[Part]:
    """Return every part, with what stays at the end.

    Args:
        site: the environment.
        catalog: whether what evidence names in the catalog goes too.
    """

    def named() -> evidence.Named:
        return {} if catalog else evidence.named(site)

    return [
        Part("the executions", _AWS, partial(_executions, site)),
        Part("the identities", _WORKSPACE, partial(_identities, site)),
        Part("the pipeline", _AWS, partial(_pipeline, site)),
        *(
            Part(f"layer {layer}", _AWS, partial(_layer, site, layer))
            for layer in reversed(layers.LAYERS)
            if layer not in _STAY
        ),
        Part("the experiment", _WORKSPACE, partial(_experiment, site)),
        Part("the catalogs", _WORKSPACE, lambda: catalogs.removed(site, named=named())),
        Part("the storage", _WORKSPACE, lambda: _storage(site, named=named())),
        Part("what stays", _AWS, partial(_staying, site)),
    ]


def _executions(site: Site) -> Changes:
    """Refuse while one runs: its jobs would lose their rights."""
    sagemaker, name = site.client("sagemaker"), site.config.pipeline.name
    try:
        pages = sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName=name)
        running = [
            str(each["PipelineExecutionArn"]).rpartition("/")[2]
            for page in pages
            for each in page["PipelineExecutionSummaries"]
            if each["PipelineExecutionStatus"] not in _ENDED
        ]
    except sagemaker.exceptions.ResourceNotFound:
        running = []
    if running:
        stop = command.line("pipeline.stop", site.config.environment, running[0])
        raise Refused(f"executions run: {' '.join(running)}\n  do        {stop}")
    yield from ()


def _storage(site: Site, *, named: evidence.Named | None = None) -> Changes:
    admin, kept = site.admin(), named or {}
    for content in made.CONTENTS:
        location = rights.location(site.config.environment, content)
        of_content = kept.get(content, ())
        yield from _place(site, "external location", admin.external_locations, location, of_content)
    files = tuple(name for names in kept.values() for name in names)
    credential = made.credential_name(site.config)
    yield from _place(site, "storage credential", admin.storage_credentials, credential, files)


def _place(site: Site, kind: str, api: Any, name: str, kept: Sequence[str]) -> Changes:
    """Yield one location or credential; `kept` are the objects that evidence names in it."""
    if not made.exists(partial(api.get, name)):
        return
    what = f"{kind} {name}"
    if not ownership.has(api.get(name).comment or "", site.config.environment):
        yield foreign(what, site.config.environment)
    elif kept:
        yield stays(what, f"it has the files of {', '.join(kept)}, which evidence names")
    else:
        yield from tried(Change("-", what, partial(api.delete, name)))


def _experiment(site: Site) -> Changes:
    admin, name = site.admin(), site.config.train.mlflow_experiment
    number = experiments.experiment_id(admin, name) if name else None
    if number is None:
        return
    found = admin.experiments.get_by_name(name).experiment
    tags = {each.key: each.value for each in found.tags or ()}
    if not ownership.has(tags, site.config.environment):
        yield foreign(f"experiment {name}", site.config.environment)
        return
    delete = partial(admin.experiments.delete_experiment, number)
    yield from tried(Change("-", f"experiment {name}", delete))


def _group(site: Site, approver: str) -> Changes:
    admin, config = site.admin(), site.config
    name = config.evidence.approvers_group
    for each in admin.groups.list(filter=f'displayName eq "{name}"'):
        found = admin.groups.get(str(each.id))
        others = [
            one.display or str(one.value) for one in found.members or () if one.value != approver
        ]
        if not ownership.has(found.external_id or "", config.environment):
            yield foreign(f"group {name}", config.environment)
        elif others:
            yield stays(f"group {name}", f"others are in it: {', '.join(sorted(others))}")
        else:
            make = partial(admin.groups.delete, str(found.id))
            yield from tried(Change("-", f"group {name}", make))


def _identities(site: Site) -> Changes:
    admin, environment = site.admin(), site.config.environment
    known = existing(admin, environment)
    yield from _group(site, known.get("approver", ("", ""))[0])
    for principal, (number, _) in known.items():
        name = name_of(environment, principal)
        detail = ("- its OAuth secrets and federation policies",)
        make = partial(admin.service_principals.delete, number)
        yield Change("-", f"service principal {name}", make, detail)
    yield from emptied(site.client("secretsmanager"), environment)


def _pipeline(site: Site) -> Changes:
    sagemaker, name = site.client("sagemaker"), site.config.pipeline.name
    try:
        found = sagemaker.describe_pipeline(PipelineName=name)
    except sagemaker.exceptions.ResourceNotFound:
        return
    tags = sagemaker.list_tags(ResourceArn=found["PipelineArn"])["Tags"]
    if not _ours(tags, site.config.environment):
        yield Change("=", f"pipeline {name}", None, (f"its tags are not {_tag(site)}",))
        return
    yield Change("-", f"pipeline {name}", partial(sagemaker.delete_pipeline, PipelineName=name))


def _layer(site: Site, layer: str) -> Changes:
    cloudformation = site.client("cloudformation")
    name = f"governed-finetune-{site.config.environment}-{layer}"
    found = layers.stack(cloudformation, name)
    if found is None:
        return
    if not _ours(found.get("Tags", ()), site.config.environment):
        yield Change("=", f"stack {name}", None, (f"its tags are not {_tag(site)}",))
        return
    yield Change("-", f"stack {name}", partial(_delete, cloudformation, name))


def _delete(cloudformation: Any, name: str) -> None:
    from botocore.exceptions import WaiterError

    cloudformation.delete_stack(StackName=name)
    try:
        waiter = cloudformation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 2400})
    except WaiterError as error:
        reason = layers.first_failure(cloudformation, name)
        raise Refused(f"stack {name}: {reason}") from error


def _staying(site: Site) -> Changes:
    """Yield what is left, with the reason and every resource of it."""
    cloudformation = site.client("cloudformation")
    why = {
        "foundation": _locked(site),
        "identity": "the bucket policies and keys of foundation name its roles",
    }
    for layer, reason in why.items():
        name = f"governed-finetune-{site.config.environment}-{layer}"
        if layers.stack(cloudformation, name) is not None:
            yield Change("=", f"stack {name}", None, (reason, *_inside(cloudformation, name)))
    names = [group["logGroupName"] for group in kept_logs(site.client("logs"))]
    if names:
        why_logs = "a log ends by its own retention; the next bootstrap imports them"
        yield stays(f"log groups {' '.join(names)}", why_logs)


def _inside(cloudformation: Any, name: str) -> list[str]:
    """Return a line for each type of resource that a stack keeps, with their names."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    found: dict[str, list[str]] = {}
    for page in pages:
        for each in page["StackResourceSummaries"]:
            kind = each["ResourceType"].removeprefix("AWS::")
            found.setdefault(kind, []).append(str(each.get("PhysicalResourceId")))
    return [f"= {kind} {' '.join(names)}" for kind, names in found.items()]


def kept_logs(logs: Any) -> list[dict[str, Any]]:
    """Return the log groups that the layer `watch` retains."""
    found = []
    for name in _LOGS:
        groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        found += [each for each in groups if each["logGroupName"] == name]
    return found


def _locked(site: Site) -> str:
    """State for how long evidence is locked, by its newest version."""
    bucket, days = site.config.storage.evidence_bucket, site.config.evidence.object_lock_days
    times = evidence.versions(site)
    if times is None:
        return f"{bucket} is gone"
    if not times:
        return f"{bucket} is empty; only the break-glass role removes it (docs/architecture.md)"
    until = max(times) + timedelta(days=days)
    return f"{bucket}: {len(times)} versions of evidence, locked until {until:%Y-%m-%d %H:%M} UTC"


def _ours(tags: Sequence[dict[str, str]], environment: str) -> bool:
    pairs = {each["Key"]: each["Value"] for each in tags}
    return pairs.get("environment") == environment and pairs.get("project") == "governed-finetune"


def _tag(site: Site) -> str:
    return f"project=governed-finetune, environment={site.config.environment}"
