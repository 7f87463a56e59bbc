"""Rights that depend on more than action and resource, or on a parameter of the layers. Each row:
the request with its condition keys, and who may.
"""

from dataclasses import dataclass, field, replace

from tests.local.aws.rights.names import (
    APPROVAL_KEY,
    ARTIFACTS,
    DOMAIN,
    MODEL_PACKAGE,
    PEOPLE,
    ROTATION,
    SIGNING_KEY,
    STEPS,
    THE_TRAIL,
    TRAIL_KEY,
    role,
    secret,
)
from tests.local.aws.rights.rows import NOBODY, rows

EMR, SAGEMAKER, LAMBDA = (
    f"{name}.amazonaws.com" for name in ("emr-serverless", "sagemaker", "lambda")
)


@dataclass(frozen=True)
class Request:
    """One request: condition keys are in small letters, as the evaluator wants them."""

    action: str
    resource: str
    keys: dict[str, object] = field(default_factory=dict)
    tls: bool = True


Row = tuple[Request, set[str]]


def _token(**changed: object) -> Request:
    keys: dict[str, object] = {
        "sts:identitytokenaudience": ["databricks"],
        "sts:durationseconds": "300",
        "sts:signingalgorithm": "ES384",
    }
    keys |= {f"sts:{name}": value for name, value in changed.items()}
    present = {name: value for name, value in keys.items() if value is not None}
    return Request("sts:GetWebIdentityToken", "*", present)


def _passes(name: str, service: str | None) -> Request:
    keys: dict[str, object] = {} if service is None else {"iam:passedtoservice": service}
    return Request("iam:PassRole", role(name), keys)


def _lists(prefix: str) -> Request:
    return Request("s3:ListBucket", ARTIFACTS, {"s3:prefix": prefix})


def _updates(status: str | None) -> Request:
    keys: dict[str, object] = {} if status is None else {"sagemaker:modelapprovalstatus": status}
    return Request("sagemaker:UpdateModelPackage", MODEL_PACKAGE, keys)


def _signs(key: str, algorithm: str | None = "ECDSA_SHA_256") -> Request:
    keys: dict[str, object] = {} if algorithm is None else {"kms:signingalgorithm": algorithm}
    return Request("kms:Sign", key, keys)


def _decrypts(trail: str | None) -> Request:
    name = "kms:encryptioncontext:aws:cloudtrail:arn"
    return Request("kms:Decrypt", TRAIL_KEY, {} if trail is None else {name: trail})


def _rotates(action: str, principal: str, function: str | None) -> Request:
    name = "secretsmanager:resource/allowrotationlambdaarn"
    keys: dict[str, object] = {} if function is None else {name: function}
    return Request(f"secretsmanager:{action}", secret(principal), keys)


_ROTATES = ("DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage")
NETWORK = (
    "CreateNetworkInterface CreateNetworkInterfacePermission DeleteNetworkInterface"
    " DeleteNetworkInterfacePermission DescribeDhcpOptions DescribeNetworkInterfaces"
    " DescribeSecurityGroups DescribeSubnets DescribeVpcs"
)
# of the roles with their own policies, and the policy of the resource
OWN: list[Row] = [
    (_passes("train", SAGEMAKER), {"pipeline"}),
    (_passes("prepare", EMR), {"pipeline"}),
    (_passes("pipeline", SAGEMAKER), {"ci"}),
    (_passes("train", EMR), NOBODY),
    (_passes("prepare", SAGEMAKER), NOBODY),
    (_passes("pipeline", EMR), NOBODY),
    *((_passes(name, None), NOBODY) for name in ("train", "prepare", "pipeline")),
    *((_passes("register", service), NOBODY) for service in (SAGEMAKER, EMR, LAMBDA)),
    (_token(), PEOPLE | STEPS),
    (_token(durationseconds="60"), PEOPLE | STEPS),
    (_token(durationseconds="301"), NOBODY),
    (_token(durationseconds=None), NOBODY),
    (_token(identitytokenaudience=["databricks", "another"]), NOBODY),
    (_token(identitytokenaudience=["another"]), NOBODY),
    (_token(identitytokenaudience=None), NOBODY),
    (_token(signingalgorithm="RS256"), NOBODY),
    (_token(signingalgorithm=None), NOBODY),
    (Request("sts:GetCallerIdentity", "*", _token().keys), NOBODY),
    (_lists("base-models/m"), {"register", "auditor", "train", "mirror"}),
    (_lists("checkpoints/m"), {"register", "auditor", "train"}),
    (_lists("executions/"), {"register", "auditor"}),
    *((Request(*key), who) for key, who in rows("ec2", "*", {NETWORK: {"train"}}).items()),
    (Request("ec2:RunInstances", "*"), NOBODY),
    (Request("datazone:PostLineageEvent", DOMAIN), STEPS),
    (Request("datazone:PostLineageEvent", f"{DOMAIN}x"), NOBODY),
    (Request("datazone:CreateProject", DOMAIN), NOBODY),
    (_decrypts(THE_TRAIL), {"auditor"}),
    *((_decrypts(other), NOBODY) for other in (None, f"{THE_TRAIL}-other")),
    *((_rotates(each, "train", ROTATION), {"rotation"}) for each in _ROTATES),
    *((_rotates(each, "train", other), NOBODY) for each in _ROTATES for other in (None, "x")),
    *(
        (replace(request, resource=request.resource.replace("/databricks/", "/other/")), NOBODY)
        for request in (_rotates(each, "train", ROTATION) for each in _ROTATES)
    ),
    (_rotates("GetSecretValue", "train", ROTATION), {"rotation", "train"}),
    *((_rotates("GetSecretValue", "train", other), {"train"}) for other in (None, "x")),
    (_updates("Approved"), {"approver"}),
    (_updates("Rejected"), {"approver", "reconciler"}),
    (_updates(None), {"approver"}),
    (_signs(SIGNING_KEY), {"register"}),
    (_signs(APPROVAL_KEY), {"approver"}),
    *((_signs(key, "ECDSA_SHA_384"), NOBODY) for key in (SIGNING_KEY, APPROVAL_KEY)),
    *((_signs(key, None), NOBODY) for key in (SIGNING_KEY, APPROVAL_KEY)),
    *(
        (Request(f"kms:{action}", key), who)
        for key, signer in ((SIGNING_KEY, {"register"}), (APPROVAL_KEY, {"approver"}))
        for action, who in {
            "GetPublicKey": signer,
            **dict.fromkeys(("DescribeKey", "Verify", "GetKeyPolicy", "CreateGrant"), NOBODY),
            "PutKeyPolicy": NOBODY,
        }.items()
    ),
]
