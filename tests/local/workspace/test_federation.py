"""Federation policies: which tokens of others a principal's policy accepts, and which not."""

import json
import time
from typing import Any

import jwt
import pytest
import requests
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, PermissionDenied
from jwt.algorithms import ECAlgorithm

from pipeline.bootstrap import identities
from pipeline.bootstrap.cloud import Cloud
from pipeline.configuration import config, file
from pipeline.errors import ConfigError
from pipeline.local.setup.workspace import make
from pipeline.rights import PRINCIPALS, secret_name
from tests.local.workspace.support.workspace_client import Aws, Principal, Workspace

KEY, OTHER_KEY = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
ROLE = "arn:aws:iam::000000000000:role/prepare"
ISSUER = "https://issuer.example"
POLICIES = "/api/2.0/accounts/local/servicePrincipals/{}/federationPolicies"


def jwks(key: ec.EllipticCurvePrivateKey = KEY) -> str:
    public: dict[str, Any] = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return json.dumps({"keys": [public | {"kid": "1", "alg": "ES384"}]})


def policy(**changes: Any) -> dict[str, Any]:
    oidc = {"issuer": ISSUER, "subject": ROLE, "audiences": ["databricks"], "jwks_json": jwks()}
    return {"oidc_policy": oidc | changes}


def token(key: Any = KEY, *, algorithm: str = "ES384", kid: str = "1", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": ROLE, "aud": "databricks", "iat": now, "exp": now + 300}
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, key, algorithm, {"kid": kid})


def exchanged(workspace: Workspace, principal: Principal, subject_token: str) -> requests.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": subject_token,
        "client_id": principal.client_id,
    }
    return requests.post(f"{workspace.host}/oidc/v1/token", data=form, timeout=10)


@pytest.fixture
def trusting(admin: WorkspaceClient, principal: Principal) -> Principal:
    """A principal with one policy."""
    admin.api_client.do(
        "POST", POLICIES.format(principal.id), query={"policy_id": "role"}, body=policy()
    )
    return principal


def test_a_token_that_fits_is_exchanged_for_the_principals(
    workspace: Workspace, trusting: Principal
) -> None:
    answer = exchanged(workspace, trusting, token())
    assert answer.status_code == 200
    client = WorkspaceClient(host=workspace.host, token=answer.json()["access_token"])
    assert client.current_user.me().user_name == trusting.client_id
    assert token() not in (workspace.folder / "audit.jsonl").read_text()


@pytest.mark.parametrize(
    "strange",
    [
        lambda: token(OTHER_KEY),
        lambda: token(sub="arn:aws:iam::000000000000:role/other"),
        lambda: token(iss="https://issuer.example/"),
        lambda: token(aud="somebody"),
        lambda: token(exp=int(time.time()) - 61),
        lambda: token(exp=None),
        lambda: token(sub=None),
        lambda: token(kid="2"),
        lambda: token("k" * 64, algorithm="HS512"),
        lambda: token(None, algorithm="none"),
        lambda: "no.token.at-all",
        lambda: "",
    ],
    ids=range(12),
)
def test_no_other_token_is_accepted(
    workspace: Workspace, trusting: Principal, strange: Any
) -> None:
    answer = exchanged(workspace, trusting, strange())
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_policy_is_of_one_principal(
    workspace: Workspace, trusting: Principal, admin: WorkspaceClient
) -> None:
    made = admin.service_principals.create(display_name="another", active=True)
    other = Principal(str(made.id), str(made.application_id), "", admin)
    assert exchanged(workspace, other, token()).status_code == 400


def test_a_deleted_policy_accepts_nothing(
    workspace: Workspace, trusting: Principal, admin: WorkspaceClient
) -> None:
    listed: Any = admin.api_client.do("GET", POLICIES.format(trusting.id))
    assert [each["policy_id"] for each in listed["policies"]] == ["role"]
    admin.api_client.do("DELETE", f"{POLICIES.format(trusting.id)}/role")
    assert exchanged(workspace, trusting, token()).status_code == 400


def test_only_an_admin_makes_policies(trusting: Principal) -> None:
    with pytest.raises(PermissionDenied):
        trusting.client.api_client.do("POST", POLICIES.format(trusting.id), body=policy())


@pytest.mark.parametrize(
    "wrong",
    [{"subject": ""}, {"issuer": None}, {"jwks_json": "{}"}, {"jwks_json": "no json"}],
)
def test_a_policy_without_one_of_its_parts_is_refused(
    admin: WorkspaceClient, principal: Principal, wrong: dict[str, Any]
) -> None:
    with pytest.raises(DatabricksError, match="oidc_policy"):
        admin.api_client.do("POST", POLICIES.format(principal.id), body=policy(**wrong))


def test_a_principal_has_twenty_policies_at_most(
    admin: WorkspaceClient, principal: Principal
) -> None:
    for _ in range(20):
        admin.api_client.do("POST", POLICIES.format(principal.id), body=policy())
    with pytest.raises(DatabricksError, match="at most 20"):
        admin.api_client.do("POST", POLICIES.format(principal.id), body=policy())


class Account:
    """The Databricks account's API of policies."""

    def __init__(self, admin: WorkspaceClient) -> None:
        self.do = admin.api_client.do

    def path(self, number: str) -> str:
        return POLICIES.format(number)


def test_policies_leave_the_secrets_that_jobs_use_until_a_person_has_them_removed(
    aws: Aws, admin: WorkspaceClient
) -> None:
    store = aws.client("secretsmanager")
    make(identities.principals(admin, "moved"))
    make(identities.secrets(admin, store, "moved", account="local"))
    policies = {name: policy()["oidc_policy"] for name in PRINCIPALS}
    make(identities.federation(admin, Account(admin), "moved", policies))
    assert list(identities.federation(admin, Account(admin), "moved", policies)) == []

    (left,) = identities.left(admin, store, "moved")
    assert (left.sign, left.make, left.stops) == ("!", None, False)
    assert "bootstrap --env moved --remove-secrets" in left.details[-1]
    assert len(left.details) == 1 + 2 * len(PRINCIPALS), "each in the workspace and in AWS"
    for name in PRINCIPALS:
        number = identities.existing(admin, "moved")[name][0]
        assert len(list(admin.service_principal_secrets_proxy.list(number))) == 1

    make(identities.removed(admin, store, "moved"))
    assert list(identities.left(admin, store, "moved")) == []
    name = secret_name("moved", "train")
    assert store.get_secret_value(SecretId=name)["SecretString"] == "{}"


def test_a_federated_environment_is_bootstrapped_before_conf_has_the_ids_that_it_prints(
    admin: WorkspaceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = yaml.safe_load(file.text("dev", file.CONF))
    document["databricks"] |= {"identity": "federated", "client_ids": {}}
    document["register"]["databricks_client_id"] = None
    monkeypatch.setattr(file, "text", lambda environment, conf: yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=r"client_ids\.train"):
        config.load("dev")

    site = Cloud("dev", None)
    monkeypatch.setattr(site, "admin", lambda: admin)
    make(identities.principals(admin, "dev"))
    printed = [yaml.safe_load(each.details[0]) for each in site.client_ids()]
    ids = {key.rpartition(".")[2]: one for each in printed for key, one in each.items()}
    assert ids == {name: one for name, (_, one) in identities.existing(admin, "dev").items()}
    assert set(ids) == set(PRINCIPALS)
    assert site._unknown_ids()

    document["databricks"]["client_ids"] = ids
    assert config.load("dev").train.databricks_secret_id == f"federated:{ids['train']}"
    again = Cloud("dev", None)
    monkeypatch.setattr(again, "admin", lambda: admin)
    assert list(again.client_ids()) == []
    assert not again._unknown_ids()
