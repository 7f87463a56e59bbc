"""Storage and experiment of the workspace, and how old and how many the principals' secrets are.

    for check in objects.checked(config, admin, ids): ...

Only who administers the workspace sees a principal's secrets; their values nobody sees.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pipeline import rights
from pipeline.bootstrap import experiments, identities
from pipeline.bootstrap import workspace as made
from pipeline.configuration.config import Config
from pipeline.doctor.check import Check

SOON = timedelta(days=30)
MOST = 5  # OAuth secrets of one principal in Databricks


def checked(
    config: Config, admin: Any, ids: dict[str, str], *, now: datetime | None = None
) -> Iterator[Check]:
    """Yield the checks; `ids` are the principals' application ids by name, `now` is for tests."""
    yield from _storage(config, admin)
    yield from _experiment(config, admin, ids)
    if config.databricks.identity == "secret":
        yield from _secrets(config, admin, now or datetime.now(UTC))


def _storage(config: Config, admin: Any) -> Iterator[Check]:
    again = f"python -m pipeline.bootstrap --env {config.environment}"
    credential = made.credential_name(config)
    names = [rights.location(config.environment, content) for content in ("raw", "models")]
    for kind, api, name in (
        ("storage credential", admin.storage_credentials, credential),
        *(("external location", admin.external_locations, name) for name in names),
    ):
        there = made.exists(partial(api.get, name))
        yield Check.of(f"{kind} {name}", there, expected="to exist", found="none", fix=again)


def _experiment(config: Config, admin: Any, ids: dict[str, str]) -> Iterator[Check]:
    name = config.train.mlflow_experiment
    if name is None:
        return
    again = f"python -m pipeline.bootstrap --env {config.environment}"
    gone = experiments.is_deleted(admin, name)
    yield Check.of(f"experiment {name}", not gone, expected="to stay", found="deleted", fix=again)
    if gone or not experiments.is_ours(admin, config, name):
        return  # Train makes one, or has it: the folder gives the rights then
    held = experiments.levels(admin, name)
    for principal, level in experiments.LEVELS.items():
        if principal in ids:
            has = held.get(ids[principal], set())
            yield Check.of(
                f"experiment {name}: {level.value} to {principal}",
                level.value in has,
                expected=level.value,
                found=", ".join(sorted(has)) or "nothing",
                fix=f"{again}, or the experiment's page > Permissions",
            )


def _secrets(config: Config, admin: Any, now: datetime) -> Iterator[Check]:
    """Yield whether each principal's secrets stay valid for a while, and leave room for another."""
    for principal, (number, _) in identities.existing(admin, config.environment).items():
        found = list(admin.service_principal_secrets_proxy.list(number))
        ends = [datetime.fromisoformat(str(each.expire_time)) for each in found if each.expire_time]
        fix = f"python -m pipeline.rotate --env {config.environment} --principal {principal}"
        name = f"governed-finetune-{config.environment}-{principal}"
        if ends:
            yield Check.of(
                f"OAuth secrets of {name}: the newest lasts",
                max(ends) > now + SOON,
                expected=f"longer than {SOON.days} days",
                found=f"until {max(ends):%Y-%m-%d}",
                fix=fix,
            )
        yield Check.of(
            f"OAuth secrets of {name}: there is room for another",
            len(found) < MOST,
            expected=f"fewer than {MOST}: a principal has no more",
            found=str(len(found)),
            fix=f"{fix} removes those that AWS does not hold",
        )
