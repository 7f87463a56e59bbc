"""What only size reaches in a workspace: each list is longer than one of its pages, and read to its
end by unchanged clients.

The objects are copied inside the store of the running workspace, one real one of each kind being
made through the API: a thousand requests would take a minute.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import catalog as uc

from pipeline.local.workspace.api import LARGEST_PAGE, Call, Json
from pipeline.local.workspace.files import files
from pipeline.local.workspace.mlflow import artifacts
from pipeline.local.workspace.store import Store
from steps.governance.names import UcName
from steps.governance.unity_catalog import identity
from steps.governance.unity_catalog.lineage import Lineage, table
from steps.register.model_registry.registry import Registry
from tests.local.workspace.support.workspace_client import BUCKET, Aws, Workspace, create_version

MANY = LARGEST_PAGE + 1
FILINGS = UcName.parse("edgar.raw.filings")
ANALYST = UcName.parse("edgar.models.analyst")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    opened = Store(workspace.folder / "workspace.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def connected(workspace: Workspace, admin: WorkspaceClient) -> identity.Workspace:
    """What our own clients are given, as the admin."""
    return identity.Workspace(workspace.host, str(admin.current_user.me().user_name), admin)


def copies(store: Store, kind: str, key: str, number: int, **changed: object) -> None:
    """Store the document again, with another number in its name and these fields."""
    found = store.get(kind, key)
    assert found is not None
    store.put(kind, f"{key}{number:05d}", found | changed)


def test_every_table_past_the_first_page_is_listed(admin: WorkspaceClient, store: Store) -> None:
    with store.transaction():
        for number in range(MANY):
            copies(store, "TABLE", str(FILINGS), number, name=f"filings{number:05d}")
    names = [found.name for found in admin.tables.list("edgar", "raw")]
    assert len(names) == len(set(names)) == MANY + 1
    assert len(list(admin.tables.list("edgar", "raw", max_results=400))) == MANY + 1
    page = admin.api_client.do(
        "GET", "/api/2.1/unity-catalog/tables?catalog_name=edgar&schema_name=raw&max_results=5000"
    )
    assert isinstance(page, dict)
    assert (len(page["tables"]), page["next_page_token"]) == (LARGEST_PAGE, str(LARGEST_PAGE))
    with store.transaction():
        for number in range(MANY):
            store.delete("TABLE", f"{FILINGS}{number:05d}")


def test_lineage_is_read_to_its_last_edge_and_no_edge_is_made_twice(
    admin: WorkspaceClient, store: Store, connected: identity.Workspace
) -> None:
    name = "ft_" + "a" * 24
    made = uc.ExternalMetadata(name=name, system_type=uc.SystemType.OTHER, entity_type="job")
    admin.external_metadata.create_external_metadata(made)
    lineage = Lineage(connected)
    job = uc.ExternalLineageObject(external_metadata=uc.ExternalLineageExternalMetadata(name=name))
    lineage.ensure_edge(table(FILINGS), job)
    ((key, edge),) = store.items("EDGE")
    with store.transaction():
        # put in front of the one that is looked for, by the order of the list
        store.delete("EDGE", key)
        for number in range(MANY):
            other = f"ft_{number:024x}"
            store.put(
                "EXTERNAL_METADATA",
                other,
                (store.get("EXTERNAL_METADATA", name) or {}) | {"name": other},
            )
            far = {
                "source": {"external_metadata": {"name": other}},
                "target": {"external_metadata": {"name": name}},
            }
            store.put("EDGE", f"{key}{number}", edge | far | {"id": f"{key}{number}"})
        store.put("EDGE", key, edge)
    found = lineage.edges(job, uc.LineageDirection.UPSTREAM)
    assert len(found) == MANY + 1
    assert found[-1].source == f"table:{FILINGS}"
    lineage.ensure_edge(table(FILINGS), job)
    assert len(lineage.edges(job, uc.LineageDirection.UPSTREAM)) == MANY + 1
    assert len(list(admin.external_metadata.list_external_metadata())) > MANY


def test_a_version_past_the_first_pages_of_the_search_is_found(
    admin: WorkspaceClient, store: Store, connected: identity.Workspace
) -> None:
    admin.registered_models.create(name="analyst", catalog_name="edgar", schema_name="models")
    create_version(admin)
    ((key, first),) = store.items("MODEL_VERSION")
    with store.transaction():
        for number in range(2, 252):
            store.put(
                "MODEL_VERSION",
                f"{ANALYST}/{number:010d}",
                first | {"version": number, "source": f"s3://{number}"},
            )
    with mock.patch.dict(os.environ):  # mlflow reads host and token there
        registry = Registry(connected)
        assert [found.version for found in registry.find(ANALYST, "s3://251")] == [251]
        assert [found.version for found in registry.find(ANALYST, str(first["source"]))] == [1]
    assert len(list(admin.model_versions.list(str(ANALYST)))) == 251
    assert key == f"{ANALYST}/{1:010d}"


def test_a_file_of_many_mebibytes_goes_through_the_files_api(
    admin: WorkspaceClient, tmp_path: Path
) -> None:
    content = os.urandom(9 * 2**20 + 1)  # past the 8 MiB that an upload keeps in memory
    path = "/WorkspaceInternal/Mlflow/Artifacts/1/model.bin"
    (tmp_path / "model.bin").write_bytes(content)
    with (tmp_path / "model.bin").open("rb") as file:
        admin.files.upload(path, file, overwrite=True)
    downloaded = admin.files.download(path).contents
    assert downloaded is not None
    with downloaded:
        assert downloaded.read() == content


def test_a_folder_has_as_many_pages_as_it_needs(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's artifacts and a folder of the Files API, with pages of two files instead of a
    thousand.
    """
    folder, s3 = "WorkspaceInternal/Mlflow/Artifacts/7/Runs/r/artifacts", aws.storage
    for name in ("a", "b", "c", "d/inner", "e"):
        s3.put_object(Bucket=BUCKET, Key=f"workspace/files/{folder}/{name}", Body=b"1")
    monkeypatch.setattr(files, "_PAGE", 2)
    monkeypatch.setattr(files, "storage_client", lambda _: s3)

    def pages(answer: Callable[[Call], Json], key: str) -> list[list[str]]:
        found, query = [], {"run_id": "r"}
        while True:
            settings = SimpleNamespace(storage_bucket=BUCKET)
            call = Call(
                cast(Any, SimpleNamespace(settings=settings)), "somebody", {"path": folder}, query
            )
            got = answer(call)
            found.append([entry["path"].rpartition("/")[2] for entry in got[key]])
            if "next_page_token" not in got:
                return found
            query = query | {"page_token": got["next_page_token"]}

    assert pages(lambda call: artifacts._files(call, folder, ""), "files") == [
        ["a", "b"],
        ["d", "c"],
        ["e"],
    ]
    listed = pages(
        lambda call: files._listing(files._folder(call, call.query.get("page_token")), folder),
        "contents",
    )
    assert listed == [["a", "b"], ["d", "c"], ["e"]]
