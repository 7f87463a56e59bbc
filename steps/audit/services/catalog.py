"""What Unity Catalog knows: versions, aliases, tables, lineage, grants and vended credentials.

Reads only, as the auditor's principal. Versions come from the registry's own API, because the SDK's
form of a version has no tags. Answers are kept for the run, so that 100 records of one model ask
for its tables once.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from databricks.sdk.service.catalog import LineageDirection

from steps.audit.services.store import Store
from steps.governance.errors import AccessDenied
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Catalog, Table
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import Edge, Job, Lineage, job, model_version, table
from steps.governance.unity_catalog.refusals import malformed, translated

_REGISTRY = "/api/2.0/mlflow/unity-catalog"
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Version:
    """A model version as the registry has it now."""

    version: int
    source: str
    status: str
    tags: Mapping[str, str]
    location: str


class Registry:
    """Unity Catalog as the auditor sees it."""

    def __init__(self, workspace: Workspace, region: str) -> None:
        self._workspace, self._region = workspace, region
        self._client = workspace.client
        self._catalog, self._lineage = Catalog(workspace), Lineage(workspace)
        self._kept: dict[object, Any] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()

    def version(self, name: str, number: int) -> Version:
        """Return one version with its tags.

        Raises:
            NotFound: the registry has no such version.
        """
        answer = self._get(
            f"{_REGISTRY}/model-versions/get",
            f"look up version {number} of {name}",
            {"name": name, "version": str(number)},
        )["model_version"]
        return _version(answer)

    def versions(self, name: str) -> list[Version]:
        """Return all versions of a model. A search has no tags."""
        found, token = [], ""
        while True:
            query = {"filter": f"name='{name}'", "max_results": "100"}
            answer = self._get(
                f"{_REGISTRY}/model-versions/search",
                f"list the versions of {name}",
                query | ({"page_token": token} if token else {}),
            )
            found += [_version(entry) for entry in answer.get("model_versions", [])]
            token = answer.get("next_page_token", "")
            if not token:
                return found

    def aliases(self, name: str) -> dict[str, int]:
        """Return each alias of a model with its version."""
        answer = self._get(
            f"{_REGISTRY}/registered-models/get", f"look up model {name}", {"name": name}
        )
        entries = answer["registered_model"].get("aliases", [])
        return {entry["alias"]: int(entry["version"]) for entry in entries}

    def models(self, catalog: str, schema: str) -> list[str]:
        """Return the full names of the models in a schema that the auditor may see."""
        with translated(self._workspace.principal, f"list the models of {catalog}.{schema}"):
            found = self._client.registered_models.list(catalog_name=catalog, schema_name=schema)
            return [str(each.full_name) for each in found]

    def table(self, name: str) -> Table:
        """Return a table's id and location."""
        return self._once(("table", name), lambda: self._catalog.table(UcName.parse(name)))

    def upstream(self, kind: str, name: str, version: int = 0) -> list[Edge]:
        """Return the edges that lead to a job, a table or a model version."""
        end = {
            "job": lambda: job(name),
            "table": lambda: table(UcName.parse(name)),
            "model_version": lambda: model_version(UcName.parse(name), version),
        }[kind]()
        return self._once(
            ("edges", kind, name, version),
            lambda: self._lineage.edges(end, LineageDirection.UPSTREAM),
        )

    def node(self, name: str) -> Job:
        """Return an external metadata object."""
        with translated(self._workspace.principal, f"look up external metadata {name}"):
            found = self._client.external_metadata.get_external_metadata(name)
        return Job(found.name, found.entity_type, dict(found.properties or {}))

    def grants(self, table: str, principal: str) -> set[tuple[str, str]]:
        """Return a principal's effective privileges on a table, each with where it was granted.

        Unity Catalog shows another principal's grants to an owner or a holder of MANAGE only. A
        refusal is kept as an answer is, so that it is asked once for all records.

        Raises:
            AccessDenied: the auditor may not see this principal's grants.
        """
        answer = self._once(("grants", table, principal), lambda: self._grants(table, principal))
        if isinstance(answer, AccessDenied):
            raise answer.with_traceback(None)
        return {
            (entry["privilege"], entry.get("inherited_from_name") or table)
            for assignment in answer.get("privilege_assignments", [])
            for entry in assignment["privileges"]
        }

    def _grants(self, table: str, principal: str) -> dict[str, Any] | AccessDenied:
        path = f"/api/2.1/unity-catalog/effective-permissions/table/{table}"
        try:
            return self._get(path, f"read the grants on {table}", {"principal": principal})
        except AccessDenied as refused:
            return refused

    def table_store(self, name: str) -> tuple[Store, dict[str, str]]:
        """Return a store with vended READ keys for a table, and the same keys for delta-rs."""
        return self._once(("keys", name), lambda: self._table_store(name))

    def version_store(self, name: str, number: int) -> Store:
        """Return a store with vended READ keys for a version's files."""
        doing = f"read the files of version {number} of {name}"
        query = {
            "name": name,
            "version": str(number),
            "operation": "MODEL_VERSION_OPERATION_READ",
        }
        with translated(self._workspace.principal, doing):
            answer = self._client.api_client.do(
                "POST", f"{_REGISTRY}/model-versions/generate-temporary-credentials", body=query
            )
        keys = cast(dict[str, Any], answer)["credentials"]["aws_temp_credentials"]
        return Store.connect(
            self._region,
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            aws_session_token=keys["session_token"],
        )

    def _table_store(self, name: str) -> tuple[Store, dict[str, str]]:
        access = self._catalog.read_access(self.table(name))
        keys = access.credential()
        store = Store.connect(
            self._region,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
        )
        return store, access.storage_options()

    def _get(self, path: str, doing: str, query: Mapping[str, str]) -> dict[str, Any]:
        with translated(self._workspace.principal, doing):
            answer = self._client.api_client.do("GET", path, query=dict(query))
        if not isinstance(answer, dict):
            raise malformed(self._workspace.principal, doing, "no JSON object")
        return cast(dict[str, Any], answer)

    def _once(self, key: object, read: Callable[[], _Answer]) -> _Answer:
        """Return the kept answer; threads that ask for the same wait for the first one's."""
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            if key not in self._kept:
                self._kept[key] = read()
            return cast(_Answer, self._kept[key])


def _version(answer: Mapping[str, Any]) -> Version:
    return Version(
        version=int(answer["version"]),
        source=str(answer.get("source", "")),
        status=str(answer.get("status", "")),
        tags={tag["key"]: tag.get("value", "") for tag in answer.get("tags", [])},
        location=str(answer.get("storage_location", "")).rstrip("/"),
    )
