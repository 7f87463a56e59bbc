"""Cleanup removes what bootstrap made, and nothing of a bank's: in a real workspace process."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.iam import ComplexValue

from pipeline.bootstrap import identities
from pipeline.bootstrap import workspace as made
from pipeline.bootstrap.change import Changes, Part, carried_out
from pipeline.cleanup import catalogs, order
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from tests.local.workspace.support.workspace_client import (
    Workspace,
    create_table,
    permit,
)

RAW = "edgar.raw.filings"  # the bank's own table, which `fill` made without a mark


class Site:
    """The environment `dev` over the bank's workspace; its raw table is the bank's."""

    def __init__(self, admin: WorkspaceClient) -> None:
        dev = configuration.load("dev")
        storage = replace(dev.storage, governed_bucket="ours")
        parameters = dict(dev.parameters) | {"RawTable": RAW}
        self.config: Config = replace(dev, storage=storage, parameters=parameters)
        self._admin = admin

    def admin(self) -> WorkspaceClient:
        return self._admin


def iterated(changes: Changes) -> Changes:
    return changes


@pytest.fixture
def site(workspace: Workspace) -> Iterator[Any]:
    """What bootstrap makes is there; what the test leaves is removed afterwards."""
    admin, site = workspace.admin, Site(workspace.admin)
    for changes in (
        made.credential(admin, site.config, lambda role: None),
        made.storage(admin, site.config),
        made.catalogs(admin, site.config),
        identities.principals(admin, "dev"),
    ):
        carried_out([Part("all", "me", partial(iterated, changes))], plan=False, show=print)
    me = str(admin.current_user.me().user_name)
    permit(admin, me, ("SCHEMA", "edgar_dev.curated"), add=["EXTERNAL_USE_SCHEMA"])
    where = ("EXTERNAL_LOCATION", "governed_finetune_dev_curated")
    permit(admin, me, where, add=["EXTERNAL_USE_LOCATION"])
    yield site
    for name in [each.name for each in admin.catalogs.list() if each.name != "edgar"]:
        admin.catalogs.delete(str(name), force=True)
    for group in admin.groups.list():
        admin.groups.delete(str(group.id))


def removed(changes: Callable[[], Changes], *, plan: bool = False) -> dict[str, str]:
    """Return the last sign of everything, as the command counts it."""
    found = carried_out([Part("all", "me", changes)], plan=plan, show=print)
    assert all(each.details for each in found if each.sign == "="), "each with its reason"
    return {each.what: each.sign for each in found}


def test_a_source_of_the_bank_stays_and_what_bootstrap_made_goes(site: Any) -> None:
    expected = {
        "schema edgar.raw": "=",
        "schema edgar_dev.curated": "-",
        "schema edgar_dev.models": "-",
        "catalog edgar": "=",
        "catalog edgar_dev": "-",
    }
    create_table(site.admin(), "edgar_dev.curated.risk_factor_examples", "s3://ours/curated/a")
    site.admin().schemas.create("default", "edgar_dev")  # as Databricks makes it
    assert removed(lambda: catalogs.removed(site), plan=True) == expected
    assert removed(lambda: catalogs.removed(site)) == expected
    assert [each.name for each in site.admin().catalogs.list()] == ["edgar"]
    assert site.admin().tables.get(RAW).full_name == RAW


def test_what_evidence_names_stays_with_its_schema_its_catalog_and_its_place(site: Any) -> None:
    """Unless it is asked for: then both tables of Prepare are known as the environment's."""
    tables = tuple(f"edgar_dev.curated.risk_factor_examples{end}" for end in ("", "_rejected"))
    for number, name in enumerate(tables):
        create_table(site.admin(), name, f"s3://ours/curated/{number}")
    named = {"curated": tables}
    found = removed(lambda: catalogs.removed(site, named=named))
    assert found["schema edgar_dev.curated"] == found["catalog edgar_dev"] == "="
    assert found["schema edgar_dev.models"] == "-", "it is empty"
    assert removed(lambda: order._storage(site, named=named)) == {
        "external location governed_finetune_dev_raw": "-",
        "external location governed_finetune_dev_curated": "=",
        "external location governed_finetune_dev_models": "-",
        "storage credential governed_finetune_dev": "=",
    }
    assert removed(lambda: catalogs.removed(site))["catalog edgar_dev"] == "-"
    assert set(removed(lambda: order._storage(site)).values()) == {"-"}


def test_an_empty_schema_or_catalog_without_the_mark_stays(site: Any) -> None:
    admin = site.admin()
    admin.schemas.update("edgar_dev.models", properties={"team": "of the bank"})
    found = removed(lambda: catalogs.removed(site))
    assert (found["schema edgar_dev.models"], found["catalog edgar_dev"]) == ("=", "=")
    admin.schemas.delete("edgar_dev.models")
    admin.catalogs.update("edgar_dev", properties={"governed_finetune_environment": "prod"})
    assert removed(lambda: catalogs.removed(site))["catalog edgar_dev"] == "="


@pytest.mark.parametrize("schema", ["default", "curated"])
def test_a_schema_or_catalog_with_a_table_of_others_stays(site: Any, schema: str) -> None:
    admin = site.admin()
    if schema == "default":
        admin.schemas.create("default", "edgar_dev")
        me = str(admin.current_user.me().user_name)
        permit(admin, me, ("SCHEMA", "edgar_dev.default"), add=["EXTERNAL_USE_SCHEMA"])
    table = f"edgar_dev.{schema}.of_others"
    create_table(admin, table, "s3://ours/curated/others")
    found = removed(lambda: catalogs.removed(site))
    assert found["catalog edgar_dev"] == "="
    assert found["schema edgar_dev.curated"] == ("=" if schema == "curated" else "-")
    assert admin.tables.get(table).full_name == table


def test_a_table_that_came_meanwhile_is_not_deleted_by_force(site: Any) -> None:
    changes = catalogs.removed(site)
    change = next(each for each in changes if each.what == "schema edgar_dev.curated")
    create_table(site.admin(), "edgar_dev.curated.late", "s3://ours/curated/late")
    assert change.make is not None
    change.make()
    after = next(changes)
    assert (after.sign, after.what) == ("=", "schema edgar_dev.curated")
    assert "in use" in after.details[0]
    assert site.admin().tables.get("edgar_dev.curated.late")


def test_a_location_in_use_stays_and_the_rest_goes_on(site: Any) -> None:
    create_table(site.admin(), "edgar_dev.curated.of_others", "s3://ours/curated/used")
    found = removed(lambda: order._storage(site))
    assert found == {
        "external location governed_finetune_dev_raw": "-",
        "external location governed_finetune_dev_curated": "=",
        "external location governed_finetune_dev_models": "-",
        "storage credential governed_finetune_dev": "=",
    }
    site.admin().tables.delete("edgar_dev.curated.of_others")
    assert set(removed(lambda: order._storage(site)).values()) == {"-"}


def test_storage_of_the_same_name_that_others_made_stays(site: Any) -> None:
    admin = site.admin()
    admin.external_locations.update("governed_finetune_dev_raw", comment="of the bank")
    found = removed(lambda: order._storage(site))
    assert found["external location governed_finetune_dev_raw"] == "="
    admin.external_locations.delete("governed_finetune_dev_raw")
    admin.storage_credentials.delete("governed_finetune_dev")


def approvers(site: Any) -> str:
    approver = identities.existing(site.admin(), "dev")["approver"][0]
    return removed(lambda: order._group(site, approver))["group model-approvers"]


def test_only_a_group_that_bootstrap_made_and_nobody_joined_goes(site: Any) -> None:
    admin = site.admin()
    bank = admin.groups.create(display_name="model-approvers")
    assert list(made.group(admin, site.config)) == [], "a bank's group is adopted as it is"
    assert approvers(site) == "="
    admin.groups.delete(str(bank.id))
    (change,) = made.group(admin, site.config)
    assert change.make is not None
    change.make()
    (group,) = admin.groups.list()
    other = identities.existing(admin, "dev")["scientist"][0]
    admin.groups.delete(str(group.id))
    admin.groups.create(
        display_name="model-approvers",
        external_id="governed_finetune_environment=dev",
        members=[ComplexValue(value=other)],
    )
    assert approvers(site) == "="
    (joins,) = made.group(admin, site.config)
    assert (joins.sign, joins.what) == ("~", "group model-approvers")
    assert joins.make is not None
    joins.make()
    assert list(made.group(admin, site.config)) == []
    (group,) = admin.groups.list()
    admin.groups.delete(str(group.id))
    (change,) = made.group(admin, site.config)
    assert change.make is not None
    change.make()
    assert approvers(site) == "-"
    assert list(admin.groups.list()) == []
