"""The model registry as an approval needs it: a version with its tags, aliases, one tag.

Reads are retried (`steps.governance.unity_catalog.retrying`). Setting and removing a tag or an
alias is sent once; after a lost answer the state is read before it is sent again.
"""

import difflib
from collections.abc import Mapping
from typing import Any, cast

from steps.governance.errors import NotFound
from steps.governance.names import UcName
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import malformed, translated
from steps.governance.unity_catalog.retrying import settle

_REGISTRY = "/api/2.0/mlflow/unity-catalog"


class Registry:
    """One registered model in Unity Catalog."""

    def __init__(self, workspace: Workspace, model: UcName) -> None:
        self._workspace, self._model = workspace, model

    def tags(self, version: int) -> dict[str, str]:
        """Return a version's tags.

        Raises:
            NotFound: no such model or version; the message names those that exist.
        """
        doing = f"look up version {version} of {self._model}"
        query = {"name": str(self._model), "version": str(version)}
        try:
            answer = self._call("GET", "model-versions/get", doing, query)
        except NotFound as error:
            raise self._absent(version) from error
        try:
            tags = answer["model_version"].get("tags", [])
            return {tag["key"]: tag.get("value", "") for tag in tags}
        except (KeyError, TypeError, AttributeError):
            raise malformed(self._workspace.principal, doing, "no model version") from None

    def aliased(self, alias: str) -> int | None:
        """Return the version that an alias points to, or None."""
        return self.aliases().get(alias)

    def aliases(self) -> dict[str, int]:
        """Return each alias of the model with its version."""
        doing = f"look up the aliases of {self._model}"
        answer = self._call("GET", "registered-models/get", doing, {"name": str(self._model)})
        try:
            entries = answer["registered_model"].get("aliases", [])
            return {entry["alias"]: int(entry["version"]) for entry in entries}
        except (KeyError, TypeError, AttributeError, ValueError):
            raise malformed(self._workspace.principal, doing, "no registered model") from None

    def set_alias(self, alias: str, version: int | None) -> None:
        """Let an alias point to a version; None removes it. Needs MANAGE or ownership."""
        request = {"name": str(self._model), "alias": alias}
        method = "DELETE"
        if version is not None:
            method, request = "POST", request | {"version": str(version)}
        self._settle(
            (method, "registered-models/alias", request),
            present=lambda: self.aliased(alias) == version,
            doing=f"let alias {alias} of {self._model} point to {version or 'no version'}",
        )

    def set_tag(self, version: int, key: str, value: str | None) -> None:
        """Set a version's tag; None removes it. Needs APPLY TAG."""
        request = {"name": str(self._model), "version": str(version), "key": key}
        method, path = "DELETE", "model-versions/delete-tag"
        if value is not None:
            method, path, request = "POST", "model-versions/set-tag", request | {"value": value}
        self._settle(
            (method, path, request),
            present=lambda: self.tags(version).get(key) == value,
            doing=f"set tag {key} of version {version} of {self._model}",
        )

    def _settle(
        self, request: tuple[str, str, dict[str, str]], *, present: Any, doing: str
    ) -> None:
        method, path, content = request
        settle(
            lambda: _nothing(self._call(method, path, doing, content)),
            present=present,
            doing=doing,
            policy=self._workspace.policy,
        )

    def _call(
        self, method: str, path: str, doing: str, content: Mapping[str, str]
    ) -> dict[str, Any]:
        given: dict[str, Any] = {"query" if method == "GET" else "body": dict(content)}
        with translated(self._workspace.principal, doing):
            answer = self._workspace.client.api_client.do(method, f"{_REGISTRY}/{path}", **given)
        if not isinstance(answer, dict):
            raise malformed(self._workspace.principal, doing, "no JSON object")
        return cast(dict[str, Any], answer)

    def _absent(self, version: int) -> NotFound:
        schema = self._model.schema_name
        with translated(self._workspace.principal, f"list the models of {schema}"):
            models = self._workspace.client.registered_models.list(
                catalog_name=self._model.catalog, schema_name=self._model.schema
            )
            names = sorted(str(each.full_name) for each in models)
        if str(self._model) not in names:
            near = difflib.get_close_matches(str(self._model), names, n=3)
            return NotFound(
                f"the model {self._model} does not exist",
                expected=f"a model of {schema}" + (f", such as {', '.join(near)}" if near else ""),
                do="correct --model",
            )
        with translated(self._workspace.principal, f"list the versions of {self._model}"):
            found = self._workspace.client.model_versions.list(str(self._model))
            numbers = sorted(int(each.version or 0) for each in found)
        near_numbers = sorted(sorted(numbers, key=lambda one: abs(one - version))[:3])
        return NotFound(
            f"version {version} of {self._model} does not exist",
            expected=f"a version, such as {', '.join(map(str, near_numbers))}"
            if near_numbers
            else "a version; the model is empty",
            do="correct --model",
        )


def _nothing(_: object) -> None:
    """Drop an answer that has no content."""
