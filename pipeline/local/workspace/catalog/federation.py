"""Federation policies of service principals, and the tokens of others that they accept.

A policy names an issuer, a subject and audiences; a token that fits one is as good as the
principal's secret. Databricks finds the issuer's public keys by its address. This workspace reaches
nothing outside, so a policy here has the keys (`jwks_json`), which the API takes too.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import jwt
from jwt import PyJWKSet

from pipeline.local.workspace.api import Call, Json, Routes
from pipeline.local.workspace.catalog.principals import by_id, require_admin
from pipeline.local.workspace.errors import InvalidParameter, InvalidState, NotFound
from pipeline.local.workspace.store import Store

POLICY = "FEDERATION_POLICY"
POLICIES_PER_PRINCIPAL = 20  # source: docs.databricks.com, workload identity federation
_PATH = "/api/2.0/accounts/{account}/servicePrincipals/{id}/federationPolicies"
_ALGORITHMS = ["ES384", "RS256"]
_LEEWAY_SECONDS = 60

routes = Routes()


@routes.post(_PATH, "createServicePrincipalFederationPolicy")
def create(call: Call) -> Json:
    """Create a policy (POST …/federationPolicies). Needs admin."""
    require_admin(call)
    principal = by_id(call)["applicationId"]
    oidc = call.body.get("oidc_policy") or {}
    for name in ("issuer", "subject", "jwks_json"):
        if not isinstance(oidc.get(name), str) or not oidc[name]:
            raise InvalidParameter(f"oidc_policy.{name}: expected a non-empty string here.")
    _keys(oidc["jwks_json"])
    if len(call.store.all(POLICY, f"{principal}/")) >= POLICIES_PER_PRINCIPAL:
        raise InvalidState(f"A principal has at most {POLICIES_PER_PRINCIPAL} federation policies.")
    document = {"uid": str(uuid.uuid4()), "oidc_policy": oidc}
    name = str(call.query.get("policy_id") or document["uid"])
    if call.store.get(POLICY, f"{principal}/{name}") is not None:
        raise InvalidState(f"The federation policy {name} exists already.", code="ALREADY_EXISTS")
    call.store.put(POLICY, f"{principal}/{name}", document | {"policy_id": name})
    return _shown(document | {"policy_id": name})


@routes.get(_PATH, "listServicePrincipalFederationPolicies")
def list_policies(call: Call) -> Json:
    """Return a principal's policies (GET …/federationPolicies). Needs admin."""
    require_admin(call)
    found = call.store.all(POLICY, f"{by_id(call)['applicationId']}/")
    return {"policies": [_shown(document) for document in found]}


@routes.delete(f"{_PATH}/{{policy}}", "deleteServicePrincipalFederationPolicy")
def delete(call: Call) -> Json:
    """Delete a policy (DELETE …/federationPolicies/{policy}). Needs admin."""
    require_admin(call)
    key = f"{by_id(call)['applicationId']}/{call.path['policy']}"
    if call.store.get(POLICY, key) is None:
        raise NotFound(f"Federation policy {call.path['policy']} does not exist.")
    call.store.delete(POLICY, key)
    return {}


def accepts(store: Store, application_id: str, token: str) -> bool:
    """Return whether a policy of the principal accepts this token now."""
    policies = store.all(POLICY, f"{application_id}/")
    return any(_fits(policy["oidc_policy"], token) for policy in policies)


def _fits(policy: Json, token: str) -> bool:
    try:
        header = jwt.get_unverified_header(token)
        key = _keys(policy["jwks_json"])[header.get("kid", "")]
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            issuer=policy["issuer"],
            audience=policy.get("audiences") or [],
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "sub", "aud"]},
        )
    except (jwt.PyJWTError, KeyError):
        return False
    return bool(claims["sub"] == policy["subject"])


def _keys(text: str) -> PyJWKSet:
    try:
        return PyJWKSet.from_dict(json.loads(text))
    except (ValueError, jwt.PyJWTError) as error:
        raise InvalidParameter(f"oidc_policy.jwks_json: {type(error).__name__}.") from error


def _shown(document: Json) -> Json:
    return {
        "name": f"federationPolicies/{document['policy_id']}",
        "policy_id": document["policy_id"],
        "uid": document["uid"],
        "oidc_policy": document["oidc_policy"],
    }
