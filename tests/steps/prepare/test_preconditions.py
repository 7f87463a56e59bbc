"""Prepare refuses first what Register would refuse, in one message.

Questions that got no answer are one warning.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import FunctionInfo

from steps.governance.errors import GovernanceError, Unavailable
from steps.governance.names import UcName
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.prepare import preconditions
from steps.prepare.arguments import UNKNOWN
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.environment import Environment, environment

pytestmark = pytest.mark.environment
MODEL = "edgar.models.risk_analyst"


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with environment(tmp_path_factory.mktemp("environment"), [fakes.filing(1001, 2020)]) as running:
        yield running


@pytest.fixture
def workspace(embedded: Environment, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Connect to the workspace as the prepare principal, with the prepare role."""
    for name, value in (embedded.variables | embedded.root.lend("prepare")).items():
        monkeypatch.setenv(name, value)
    config = embedded.config
    return connect(
        host=config.databricks.host,
        secret_id=config.prepare.databricks_secret_id,
        region=config.aws.region,
    )


@pytest.fixture
def managing(embedded: Environment) -> Iterator[None]:
    """Let the prepare principal see all grants, as if an operator had given it MANAGE."""
    with changed(embedded, "prepare", "catalog", "edgar", add=["MANAGE"]):
        yield


@contextmanager
def changed(
    embedded: Environment,
    principal: str,
    kind: str,
    name: str,
    *,
    add: list[str] | None = None,
    **how: list[str],
) -> Iterator[None]:
    """Change rights while the block runs; `remove` names the removed ones."""
    application_id = embedded.seeded.application_ids[principal]

    def change(added: list[str], removed: list[str]) -> None:
        body = {"changes": [{"principal": application_id, "add": added, "remove": removed}]}
        embedded.admin.api_client.do(
            "PATCH", f"/api/2.1/unity-catalog/permissions/{kind}/{name}", body=body
        )

    removed = how.get("remove", [])
    change(add or [], removed)
    try:
        yield
    finally:
        change(removed, add or [])


def refusal(embedded: Environment, workspace: Workspace, **changes: Any) -> str:
    """Return the message that refuses a run, or "" if it is not refused."""
    defaults = {
        "raw_table": UcName.parse("edgar.raw.filings"),
        "curated_table": UcName.parse("edgar.curated.risk_factor_examples"),
        "model_name": UcName.parse(MODEL),
        "register_principal": embedded.seeded.application_ids["register"],
    }
    try:
        preconditions.check(fakes.arguments(Path("/unused"), **defaults | changes), workspace)
    except GovernanceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("name", "missing"),
    [("edgar.modles.risk_analyst", "edgar.modles"), ("egdar.models.risk_analyst", "egdar.models")],
)
def test_a_schema_or_catalog_that_is_not_there_is_named(
    embedded: Environment, workspace: Workspace, name: str, missing: str
) -> None:
    text = refusal(embedded, workspace, model_name=UcName.parse(name))
    assert text.startswith(f"Register would refuse model {name}, nothing was read")
    assert f"schema {missing} of the model does not exist" in text


def test_the_process_refuses_before_it_reads_and_its_last_line_is_the_refusal(
    embedded: Environment,
) -> None:
    run = embedded.run("--model-name", "edgar.modles.risk_analyst")
    assert run.code == 1
    assert run.last_line.startswith(
        "GovernanceError: Register would refuse model edgar.modles.risk_analyst"
    )
    assert "Traceback" not in run.stderr
    assert "reading edgar.raw.filings" not in run.stderr


@pytest.mark.usefixtures("managing")
def test_everything_that_is_wrong_is_in_one_message(
    embedded: Environment, workspace: Workspace
) -> None:
    with changed(embedded, "register", "schema", "edgar.raw", remove=["SELECT"]):
        text = refusal(embedded, workspace, model_name=UcName.parse("edgar.modles.x"))
    assert "schema edgar.modles of the model does not exist" in text
    assert "lacks SELECT on" in text
    assert "correct ModelName" in text
    assert "GRANT SELECT ON" in text


def test_the_name_of_a_table_is_refused(embedded: Environment, workspace: Workspace) -> None:
    text = refusal(embedded, workspace, model_name=UcName.parse("edgar.raw.filings"))
    assert "edgar.raw.filings is the name of a table, not of a model" in text


def test_the_name_of_a_function_is_refused(
    embedded: Environment, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded catalog has no functions; models share their names with them."""
    monkeypatch.setattr(
        workspace.client.functions, "get", lambda *_, **__: FunctionInfo(name="risk_analyst")
    )
    assert f"{MODEL} is the name of a function, not of a model" in refusal(embedded, workspace)


@contextmanager
def model_of_the_administrator(embedded: Environment) -> Iterator[str]:
    name = UcName.parse("edgar.models.somebody_elses")
    embedded.admin.registered_models.create(
        catalog_name=name.catalog, schema_name=name.schema, name=name.name
    )
    try:
        yield str(name)
    finally:
        embedded.admin.registered_models.delete(str(name))


def test_a_model_of_somebody_else_is_refused_with_its_owner(
    embedded: Environment, workspace: Workspace
) -> None:
    with model_of_the_administrator(embedded) as name:
        text = refusal(embedded, workspace, model_name=UcName.parse(name))
    assert f"model {name} belongs to {embedded.admin.current_user.me().user_name}" in text
    assert embedded.seeded.application_ids["register"] in text


def test_a_model_that_register_owns_is_fine(embedded: Environment, workspace: Workspace) -> None:
    with model_of_the_administrator(embedded) as name:
        embedded.admin.registered_models.update(
            name, owner=embedded.seeded.application_ids["register"]
        )
        assert refusal(embedded, workspace, model_name=UcName.parse(name)) == ""


@pytest.mark.parametrize(
    ("kind", "name", "privilege"),
    [
        ("catalog", "edgar", "USE_CATALOG"),
        ("schema", "edgar.models", "USE_SCHEMA"),
        ("schema", "edgar.models", "CREATE_MODEL"),
        ("schema", "edgar.raw", "USE_SCHEMA"),
        ("schema", "edgar.raw", "SELECT"),
        ("schema", "edgar.curated", "SELECT"),
        ("schema", "edgar.curated", "MODIFY"),
    ],
)
@pytest.mark.usefixtures("managing")
def test_each_right_that_register_lacks_is_named_with_its_grant(
    embedded: Environment, workspace: Workspace, kind: str, name: str, privilege: str
) -> None:
    assert refusal(embedded, workspace) == ""
    with changed(embedded, "register", kind, name, remove=[privilege]):
        text = refusal(embedded, workspace)
    register, spoken = embedded.seeded.application_ids["register"], privilege.replace("_", " ")
    assert f"{register} lacks {spoken} on " in text
    assert name in text
    assert f"GRANT {spoken} ON " in text


def test_a_right_on_the_metastore_is_asked_of_its_admin(
    embedded: Environment, workspace: Workspace
) -> None:
    """Only the admin sees the metastore's grants; here the job asks as the admin."""
    metastore = str(embedded.admin.metastores.summary().metastore_id)
    as_admin = Workspace(
        workspace.host, str(embedded.admin.current_user.me().user_name), embedded.admin
    )
    assert refusal(embedded, as_admin) == ""
    with changed(embedded, "register", "metastore", metastore, remove=["CREATE_EXTERNAL_METADATA"]):
        assert "lacks CREATE EXTERNAL METADATA on METASTORE" in refusal(embedded, as_admin)


@pytest.mark.usefixtures("managing")
def test_a_right_that_everybody_or_all_privileges_gives_is_a_right(
    embedded: Environment, workspace: Workspace
) -> None:
    everybody = {"changes": [{"principal": "account users", "add": ["CREATE_MODEL"]}]}
    path = "/api/2.1/unity-catalog/permissions/schema/edgar.models"
    with changed(embedded, "register", "schema", "edgar.models", remove=["CREATE_MODEL"]):
        embedded.admin.api_client.do("PATCH", path, body=everybody)
        try:
            assert refusal(embedded, workspace) == ""
        finally:
            everybody["changes"][0] = {"principal": "account users", "remove": ["CREATE_MODEL"]}
            embedded.admin.api_client.do("PATCH", path, body=everybody)
        with changed(embedded, "register", "schema", "edgar.models", add=["ALL_PRIVILEGES"]):
            assert refusal(embedded, workspace) == ""


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_rights_that_the_workspace_does_not_show_are_one_warning_and_no_refusal(
    embedded: Environment, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """With the grants of docs/architecture.md, prepare may not see the grants of others."""
    with changed(embedded, "register", "schema", "edgar.models", remove=["CREATE_MODEL"]):
        assert refusal(embedded, workspace) == ""
    (warning,) = warnings(caplog)
    assert warning.startswith("could not be asked: the rights of ")
    assert warning.endswith("Register will find out")
    assert all(
        part in warning
        for part in ("METASTORE", "CATALOG edgar", "SCHEMA edgar.models", "TABLE edgar.raw.filings")
    )


def test_an_unknown_register_principal_is_reported(
    embedded: Environment, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    assert refusal(embedded, workspace, register_principal=UNKNOWN) == ""
    (warning,) = warnings(caplog)
    assert "register.databricks_client_id is null" in warning


def test_a_schema_that_prepare_may_not_see_is_a_warning(
    embedded: Environment, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with changed(embedded, "prepare", "schema", "edgar.models", remove=["USE_SCHEMA", "BROWSE"]):
        assert refusal(embedded, workspace) == ""
    (warning,) = warnings(caplog)
    assert (
        "whether schema edgar.models is there (User does not have USE SCHEMA on Schema "
        "'edgar.models'.)" in warning
    )


def answering(
    grants: dict[str, list[str]], *, owner: str = "0" * 8 + "-0000-0000-0000-" + "0" * 12
) -> Callable[..., Any]:
    """A workspace that shows these grants on everything, two principals a page."""
    listed = [
        {"principal": name, "privileges": [{"privilege": each} for each in held]}
        for name, held in grants.items()
    ]

    def do(method: str, path: str, *, query: dict[str, Any]) -> dict[str, Any]:
        if "effective-permissions" not in path:
            return {"metastore_id": "m", "owner": owner}
        start = int(query.get("page_token", 0))
        more = {"next_page_token": str(start + 2)} if start + 2 < len(listed) else {}
        return {"privilege_assignments": listed[start : start + 2], **more}

    return do


OTHER = "11111111-1111-1111-1111-111111111111"


def test_grants_of_a_group_are_no_proof_that_a_right_is_missing(
    embedded: Environment,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    grants = {OTHER: ["SELECT"], "ml-platform": ["ALL_PRIVILEGES"]}
    monkeypatch.setattr(workspace.client.api_client, "do", answering(grants))
    monkeypatch.setattr(workspace.client.registered_models, "get", _nothing)
    monkeypatch.setattr(workspace.client.tables, "get", _nothing)
    monkeypatch.setattr(workspace.client.functions, "get", _nothing)
    monkeypatch.setattr(workspace.client.schemas, "get", lambda *_, **__: None)
    assert refusal(embedded, workspace) == ""
    (warning,) = warnings(caplog)
    assert "may hold it as a member of ml-platform" in warning


def test_all_pages_of_the_grants_are_read(
    embedded: Environment, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = embedded.seeded.application_ids["register"]
    grants = {f"{number:08x}{OTHER[8:]}": ["SELECT"] for number in range(5)}
    for name in ("registered_models", "tables", "functions"):
        monkeypatch.setattr(getattr(workspace.client, name), "get", _nothing)
    monkeypatch.setattr(workspace.client.schemas, "get", lambda *_, **__: None)
    monkeypatch.setattr(
        workspace.client.api_client, "do", answering(grants | {register: ["ALL_PRIVILEGES"]})
    )
    assert refusal(embedded, workspace) == ""
    monkeypatch.setattr(workspace.client.api_client, "do", answering(grants))
    assert f"{register} lacks CREATE MODEL on SCHEMA edgar.models" in refusal(embedded, workspace)


def test_an_owner_needs_no_grant(
    embedded: Environment, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = embedded.seeded.application_ids["register"]
    for name in ("registered_models", "tables", "functions"):
        monkeypatch.setattr(getattr(workspace.client, name), "get", _nothing)
    monkeypatch.setattr(workspace.client.schemas, "get", lambda *_, **__: None)
    monkeypatch.setattr(
        workspace.client.api_client, "do", answering({OTHER: ["SELECT"]}, owner=register)
    )
    assert refusal(embedded, workspace) == ""


def test_a_workspace_that_does_not_answer_is_no_warning(
    embedded: Environment, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(workspace.client.registered_models, "get", silent)
    with pytest.raises(Unavailable):
        preconditions.check(fakes.arguments(Path("/unused")), workspace)


def _nothing(*_: Any, **__: Any) -> None:
    raise NotFound("does not exist")
