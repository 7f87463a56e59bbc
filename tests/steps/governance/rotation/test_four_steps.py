"""A rotation that is cut anywhere never wedges, and never locks a job out.

Secrets Manager and the workspace are real processes; a crash is an exception before or after a
call. Then Secrets Manager repeats the step, or a person begins a new rotation: both are tried.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient

from steps.governance.errors import IdentityRefused, UsageError
from steps.governance.rotation.four_steps import CURRENT, PREVIOUS, STEPS, Rotation
from steps.governance.sign_in.identities import Identity
from steps.governance.unity_catalog.identity import signed_in
from tests.local.workspace.support.workspace_client import Aws, Workspace

pytestmark = pytest.mark.environment
ROTATIONS = 6
CALLS = 20  # of one rotation at least


class Crash(Exception):
    """The process ended."""


@dataclass
class Cut:
    """Where the process ends: before or after its call number `at`."""

    at: int = -1
    after: bool = False
    made: int = 0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any, **more: Any) -> Any:
            number, self.made = self.made, self.made + 1
            if number == self.at and not self.after:
                raise Crash
            try:
                return call(*arguments, **more)
            finally:
                if number == self.at:  # after an error too
                    raise Crash

        return cut


class Party:
    """A client each of whose calls may be the last one."""

    def __init__(self, client: Any, cut: Cut) -> None:
        self._client, self._cut = client, cut

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return found if name == "exceptions" else self._cut.around(found)


@dataclass
class Site:
    """A principal with its stored secret."""

    host: str
    store: Any
    admin: WorkspaceClient
    number: str
    secret_id: str

    def rotation(self, cut: Cut | None = None) -> Rotation:
        cut = cut or Cut()
        proxy = self.admin.service_principal_secrets_proxy
        return Rotation(Party(self.store, cut), Party(proxy, cut), cut.around(self.tried))

    def tried(self, document: Any) -> None:
        assert self.logs_in(document)

    def signs_in(self, document: Any) -> None:
        identity = Identity(document["clientId"], document["clientSecret"])
        signed_in(self.host, identity).client.current_user.me()

    def logs_in(self, document: Any) -> bool:
        """Return whether the workspace gives a token, without the client around it."""
        answer = requests.post(
            f"{self.host}/oidc/v1/token",
            data={"grant_type": "client_credentials", "scope": "all-apis"},
            auth=(document["clientId"], document["clientSecret"]),
            timeout=30,
        )
        return answer.ok and "access_token" in answer.json()

    def document(self, stage: str) -> Any:
        answer = self.store.get_secret_value(SecretId=self.secret_id, VersionStage=stage)
        return json.loads(answer["SecretString"])

    def secrets(self) -> set[str]:
        return {str(s.id) for s in self.admin.service_principal_secrets_proxy.list(self.number)}


@pytest.fixture(scope="module")
def workspace(start_workspace: Any, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    started: Workspace = start_workspace(tmp_path_factory.mktemp("state"))
    return started


@pytest.fixture(autouse=True)
def on_the_loopback(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loopback workspace gets a secret only where AWS is on the loopback too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)


@pytest.fixture
def site(workspace: Workspace, aws: Aws) -> Site:
    return new_site(workspace, aws)


def new_site(workspace: Workspace, aws: Aws) -> Site:
    admin, store = workspace.admin, aws.client("secretsmanager")
    principal = admin.service_principals.create(display_name="train", active=True)
    number = str(principal.id)
    made = admin.service_principal_secrets_proxy.create(number)
    document = {
        "accountId": "1",
        "servicePrincipalId": number,
        "clientId": str(principal.application_id),
        "clientSecret": made.secret,
        "oauthSecretId": made.id,
    }
    name = f"rotated/{uuid.uuid4()}"
    store.create_secret(Name=name, SecretString=json.dumps(document))
    return Site(workspace.host, store, admin, number, name)


def test_a_rotation_makes_a_secret_that_signs_in_and_keeps_the_one_before(site: Site) -> None:
    first = site.document(CURRENT)
    site.rotation().whole(site.secret_id)
    second = site.document(CURRENT)
    assert second["clientSecret"] != first["clientSecret"]
    assert site.document(PREVIOUS) == first
    assert site.secrets() == {first["oauthSecretId"], second["oauthSecretId"]}
    site.signs_in(first)
    site.signs_in(second)
    site.rotation().whole(site.secret_id)
    assert site.secrets() == {second["oauthSecretId"], site.document(CURRENT)["oauthSecretId"]}
    with pytest.raises(IdentityRefused):
        site.signs_in(first)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_is_repeated_changes_nothing(site: Site, step: str) -> None:
    token = str(uuid.uuid4())
    for each in STEPS:
        site.rotation().step(each, site.secret_id, token)
        if each == step:
            before = site.secrets()
            site.rotation().step(each, site.secret_id, token)
            assert site.secrets() == before
    now = site.document(CURRENT)
    site.rotation().step(step, site.secret_id, token)
    assert site.document(CURRENT) == now


def campaign(site: Site, at: int, *, after: bool, by_lambda: bool) -> int:
    """Six rotations, each cut at this call and then repeated; return how many were cut."""
    cuts = 0
    for _ in range(ROTATIONS):
        before = site.document(CURRENT)
        token = str(uuid.uuid4())
        try:
            run(site.rotation(Cut(at, after)), site, token if by_lambda else None)
        except Crash:
            cuts += 1
            usable(site)
            run(site.rotation(), site, token if by_lambda else None)
        usable(site)
        assert site.document(CURRENT) != before or after, "it rotated"
        assert len(site.secrets()) <= 3
    assert site.secrets() == {site.document(s)["oauthSecretId"] for s in (CURRENT, PREVIOUS)}
    return cuts


def run(rotation: Rotation, site: Site, token: str | None) -> None:
    """As Secrets Manager repeats the steps with one token, or as a person starts the command."""
    if token is None:
        rotation.whole(site.secret_id)
        return
    for step in STEPS:
        rotation.step(step, site.secret_id, token)


def usable(site: Site) -> None:
    """What a job reads now signs in, and so does what a running job read before."""
    assert site.logs_in(site.document(CURRENT))
    try:
        previous = site.document(PREVIOUS)
    except site.store.exceptions.ResourceNotFoundException:
        return  # nothing was rotated yet
    assert site.logs_in(previous)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("by_lambda", [False, True])
@pytest.mark.parametrize("at", [8, 18])
def test_six_rotations_that_are_cut(
    workspace: Workspace, aws: Aws, at: int, after: bool, by_lambda: bool
) -> None:
    site = new_site(workspace, aws)
    assert campaign(site, at, after=after, by_lambda=by_lambda) == ROTATIONS


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("by_lambda", [False, True])
def test_six_rotations_that_are_cut_at_each_call(
    workspace: Workspace, aws: Aws, after: bool, by_lambda: bool
) -> None:
    for at in count():
        if campaign(new_site(workspace, aws), at, after=after, by_lambda=by_lambda) == 0:
            break
    assert at >= CALLS


def test_lost_secrets_do_not_wedge_it(site: Site) -> None:
    """Four that nobody stored, as after four crashes: the principal has five, and gets another."""
    for _ in range(4):
        site.admin.service_principal_secrets_proxy.create(site.number)
    assert len(site.secrets()) == 5
    site.rotation().whole(site.secret_id)
    assert len(site.secrets()) == 2


def test_a_new_secret_that_somebody_removed_takes_the_rotation_back(site: Site) -> None:
    token = str(uuid.uuid4())
    site.rotation().step("createSecret", site.secret_id, token)
    kept = site.document(CURRENT)
    pending = site.document("AWSPENDING")
    site.admin.service_principal_secrets_proxy.delete(site.number, pending["oauthSecretId"])
    with pytest.raises(IdentityRefused, match="was removed in the workspace") as refused:
        site.rotation().step("setSecret", site.secret_id, token)
    assert pending["clientSecret"] not in str(refused.value)
    assert site.document(CURRENT) == kept
    site.rotation().whole(site.secret_id)
    usable(site)


@pytest.mark.parametrize("lacks", ["oauthSecretId", "servicePrincipalId"])
def test_a_secret_without_its_ids_is_refused_and_nothing_is_removed(site: Site, lacks: str) -> None:
    document = {key: value for key, value in site.document(CURRENT).items() if key != lacks}
    site.store.put_secret_value(SecretId=site.secret_id, SecretString=json.dumps(document))
    before = site.secrets()
    with pytest.raises(UsageError, match="cannot be rotated") as refused:
        site.rotation().whole(site.secret_id)
    assert document["clientSecret"] not in str(refused.value)
    assert site.secrets() == before


def empty_version(site: Site) -> str:
    """A version without a value, as Secrets Manager makes it to try the function."""
    token = str(uuid.uuid4())
    site.store.put_secret_value(
        SecretId=site.secret_id,
        ClientRequestToken=token,
        SecretString="{}",
        VersionStages=["AWSPENDING"],
    )
    return token


def test_a_schedule_that_is_only_tried_signs_in_with_the_secret_in_use(site: Site) -> None:
    token = empty_version(site)
    before = site.document(CURRENT)
    site.rotation().step("testSecret", site.secret_id, token)
    site.admin.service_principal_secrets_proxy.delete(site.number, before["oauthSecretId"])
    with pytest.raises(AssertionError):
        site.rotation().step("testSecret", site.secret_id, token)
    assert site.document(CURRENT) == before
    site.store.put_secret_value(SecretId=site.secret_id, SecretString="{}")
    site.rotation().step("testSecret", site.secret_id, token)  # before bootstrap: nothing to try


def test_a_version_without_a_value_does_not_become_the_current_one(site: Site) -> None:
    token, before = empty_version(site), site.document(CURRENT)
    with pytest.raises(IdentityRefused, match="has no value"):
        site.rotation().step("finishSecret", site.secret_id, token)
    assert site.document(CURRENT) == before
    site.rotation().whole(site.secret_id)  # continues it: the same version gets a value
    usable(site)
