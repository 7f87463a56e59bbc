"""The aliases of now, from the embedded workspace; what cannot be looked up is a note."""

from steps.trace.aliases import Registry
from tests.steps.approve.conftest import approvals, session_approvals
from tests.steps.approve.support.approvals import Approvals
from tests.steps.register.support.register_environment import REGION

__all__ = ["approvals", "session_approvals"]


def registry(approvals: Approvals, person: str) -> Registry:
    return Registry(approvals.environment.host, f"gf/databricks/{person}", REGION)


def test_the_aliases_of_now_come_from_unity_catalog(approvals: Approvals) -> None:
    version = approvals.new_version()
    name = version.model
    assert registry(approvals, "alice").aliases({name}) == ({(name, ""): 0}, [])
    approvals.admin.api_client.do(
        "POST",
        "/api/2.0/mlflow/unity-catalog/registered-models/alias",
        body={"name": name, "alias": "champion", "version": str(version.number)},
    )
    found, notes = registry(approvals, "alice").aliases({name, "edgar.models.nothing"})
    assert found == {(name, "champion"): 1, (name, ""): 0}
    (note,) = notes
    assert note.startswith("the aliases of edgar.models.nothing are as of the record: ")


def test_a_workspace_that_refuses_leaves_the_aliases_of_the_record(approvals: Approvals) -> None:
    found, notes = registry(approvals, "nobody").aliases({"edgar.models.nothing"})
    assert found == {}
    (note,) = notes
    assert note.startswith("aliases are as of the record, not of now: ")
    assert "gf/databricks/nobody" in note


def test_a_long_answer_looks_up_some_models_and_reports_it(approvals: Approvals) -> None:
    names = {f"edgar.models.nothing{number:02}" for number in range(25)}
    found, notes = registry(approvals, "alice").aliases(names)
    assert found == {}
    assert notes[0].startswith("the registry was read for 20 of 25 models")
    assert len(notes) == 21
