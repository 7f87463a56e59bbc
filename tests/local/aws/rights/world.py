"""The policy documents of the layers with every option on, and what IAM decides by them.

    world = read()                                  # from conf/infrastructure, no server
    world.allows("train", request)                  # by the role's own policies and the resource's
    world.with_document("policy train of train", changed).allows("train", request)

The decisions are ministack's evaluator's, which the embedded environment and its simulator use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ministack.core import iam_evaluator

from pipeline.doctor import template
from pipeline.local.aws import infrastructure
from tests.local.aws.rights import names, trust
from tests.local.aws.rights.conditions import Request
from tests.local.aws.rights.names import ACCOUNT, HERE, PREFIX, REGION, ROLES, role

Body = dict[str, Any]
EVERYTHING = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
OPTIONS = {
    "Environment": infrastructure.ENVIRONMENT,
    "DatabricksPrincipalArn": trust.DATABRICKS,
    "DatabricksExternalId": trust.EXTERNAL_ID,
    "DeployerPrincipalArn": trust.PRINCIPALS["ci"],
    "WorkerPrincipalArn": trust.PRINCIPALS["register"],
    **{
        f"{name.capitalize()}PrincipalArn": trust.PRINCIPALS[name]
        for name in ("scientist", "auditor", "approver", "reconciler", "mirror")
    },
    "GitHubSubject": trust.SUBJECTS[trust.GITHUB],
    "GitLabSubject": trust.SUBJECTS[trust.GITLAB],
    "DatabricksIdentity": "federated",
    "TrainInVpc": "true",
    "OpenLineageDomain": names.DOMAIN.rpartition("/")[2],
    "ModelPackageGroup": PREFIX,
    "WorkerKind": "ecs",
    "RegisterImage": "r@sha256:" + "a" * 64,
    "RotationAdminSecret": names.ADMIN_SECRET.partition(":secret:")[2].rpartition("-")[0],
}
# what the embedded environment leaves off
PLAIN_OPTIONS = OPTIONS | {
    "DataEvents": "false",
    "WorkerKind": "elsewhere",
    "RegisterImage": "",
    "RotationAdminSecret": "",
    "DatabricksIdentity": "secret",
    "TrainInVpc": "false",
    "OpenLineageDomain": "",
}
# federated stores no secret that a function could rotate, so each layer has its most
_OF_LAYER = {"compute": {"DatabricksIdentity": "secret"}}
_NAMED_OTHERWISE = {"Deployer": "ci", "UnityCatalogStorage": "uc-storage"}
_ROLE_IDS = ("Pipeline", "Prepare", "Train", "Register", "Mirror", "Deployer", "Scientist")
_ROLE_IDS += ("Approver", "Auditor", "Reconciler", "UnityCatalogStorage")
_SHORT = {each: _NAMED_OTHERWISE.get(each, each.lower()) for each in _ROLE_IDS}
_OF_FOUNDATION = {
    **{
        f"{each.capitalize()}Bucket": f"{PREFIX}-{each}-{ACCOUNT}-{REGION}"
        for each in (*("governed", "evidence", "artifacts", "trail"),)
    },
    "SigningKey": "signing",
    "ApprovalKey": "approval",
    "TrailKey": "trail",
}
_OF_COMPUTE = {
    "RegisterQueue": f"http://localhost/{ACCOUNT}/{PREFIX}-register",
    "RegisterDeadLetters": f"http://localhost/{ACCOUNT}/{PREFIX}-register-dead",
    "PrepareApplication": names.APPLICATION.rpartition("/")[2],
    "WorkerExecutionRole": f"{PREFIX}-worker-execution",
    "SecretAgeRole": f"{PREFIX}-secret-age",
    "RotationRole": f"{PREFIX}-rotation",
}
PHYSICAL = {
    **{f"{each}Role": f"{PREFIX}-{short}" for each, short in _SHORT.items()},
    **_OF_FOUNDATION,
    **_OF_COMPUTE,
    "Topic": names.TOPIC,
}
EXPORTS = {
    f"{PREFIX}-{'Ci' if each == 'Deployer' else each}RoleArn": role(short)
    for each, short in _SHORT.items()
} | {f"{PREFIX}-UcStorageRoleArn": role("uc-storage")}


@dataclass(frozen=True)
class Document:
    """One policy: whose it is (`identity`, `trust`: roles), or of what (`resource`: an ARN)."""

    name: str
    kind: str
    of: tuple[str, ...]
    body: Body

    @cached_property
    def parsed(self) -> list[iam_evaluator.ParsedStatement]:
        """The statements, as the evaluator wants them."""
        return iam_evaluator.parse_policy_document(self.body)


@dataclass(frozen=True)
class World:
    """All documents of an account."""

    documents: Mapping[str, Document]

    def with_document(self, name: str, body: Body) -> "World":
        """The same account with another text of one document."""
        changed = replace(self.documents[name], body=body)
        return World({**self.documents, name: changed})

    @cached_property
    def _identity(self) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {name: [] for name in ROLES}
        for document in self.documents.values():
            if document.kind == "identity":
                for name in document.of:
                    found[name].append(document)
        return found

    @cached_property
    def _resource(self) -> dict[str, Body]:
        found = (each for each in self.documents.values() if each.kind == "resource")
        return {document.of[0]: document.body for document in found}

    def may(self, name: str, request: Request) -> bool:
        """By the role's own policies alone, as the simulator answers."""
        context = _context(role(name), request)
        return _evaluated(context, self._identity[name]).decision == "Allow"

    def allows(self, name: str, request: Request, *, lifted: bool = False) -> bool:
        """By the role's policies and the resource's; `lifted`: with AdministratorAccess besides."""
        context = _context(role(name), request)
        more = [iam_evaluator.parse_policy_document(EVERYTHING)] if lifted else []
        identity = _evaluated(context, self._identity.get(name, []), *more)
        policy = self._resource.get(owner(request.resource))
        if policy is None:
            return identity.decision == "Allow"
        return (
            iam_evaluator.combine_resource_policy(
                identity, context, policy, ACCOUNT, required=":kms:" in request.resource
            ).decision
            == "Allow"
        )

    def lets_in(self, service: str, request: Request) -> bool:
        """Whether the resource's policy allows a service's own call."""
        policy = self._resource[owner(request.resource)]
        return _service_allowed(policy, _context(service, request), service)

    def may_assume(self, name: str, caller: str, keys: Mapping[str, str], *, action: str) -> bool:
        """Whether the role's trust policy lets the caller become it."""
        context = _context(caller, Request(action, role(name), dict(keys)))
        body = self.documents[f"trust of {name}"].body
        if caller in trust.SERVICES:
            return _service_allowed(body, context, caller)
        return iam_evaluator.evaluate_trust_policy(body, caller, context)


def _context(principal: str, request: Request) -> iam_evaluator.EvalContext:
    return iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=request.action,
        resource_arn=request.resource,
        region=REGION,
        secure_transport=request.tls,
        service_context=request.keys,
    )


def _service_allowed(body: Body, context: iam_evaluator.EvalContext, service: str) -> bool:
    found = iam_evaluator.evaluate_resource_policy(body, context, service=service)
    return found.decision == "Allow"


def _evaluated(
    context: iam_evaluator.EvalContext, documents: list[Document], *more: Any
) -> iam_evaluator.EvalResult:
    return iam_evaluator.evaluate(context, [*(each.parsed for each in documents), *more])


def owner(resource: str) -> str:
    """The resource that has the policy: of an object, its bucket."""
    return resource.partition("/")[0] if ":s3:::" in resource else resource


def read(options: Mapping[str, str] = OPTIONS) -> World:
    """Read the layers that have policies, as these parameters make them."""
    found: list[Document] = []
    for name in infrastructure.LAYERS:
        chosen = {**options, **_OF_LAYER.get(name, {})}
        deployed = template.Deployed(chosen, PHYSICAL, EXPORTS, REGION, ACCOUNT)
        layer = template.read(infrastructure.FOLDER / f"{name}.yaml", deployed)
        for logical, kind in layer.resources().items():
            if kind in _READERS:
                found.extend(_READERS[kind](layer, logical))
    return World({document.name: document for document in found})


def _roles(layer: template.Layer, logical: str) -> Iterator[Document]:
    wanted = layer.properties(logical)
    name = _short(wanted["RoleName"])
    yield Document(f"trust of {name}", "trust", (name,), wanted["AssumeRolePolicyDocument"])
    for policy in wanted["Policies"]:
        full = f"policy {policy['PolicyName']} of {name}"
        yield Document(full, "identity", (name,), policy["PolicyDocument"])


def _attached(layer: template.Layer, logical: str) -> Iterator[Document]:
    wanted = layer.properties(logical)
    holders = tuple(_short(each) for each in wanted["Roles"])
    yield Document(f"policy {wanted['PolicyName']}", "identity", holders, wanted["PolicyDocument"])


def _of_resource(key: str, place: str) -> Any:
    def read_one(layer: template.Layer, logical: str) -> Iterator[Document]:
        wanted = layer.properties(logical)
        if key in wanted:
            of = place.format(name=_target(wanted), id=layer.physical(logical))
            yield Document(f"policy of {logical}", "resource", (of,), wanted[key])

    return read_one


def _target(wanted: Body) -> str:
    for key in ("Bucket", "RepositoryName"):
        if key in wanted:
            return str(wanted[key])
    return str([*wanted.get("Queues", ()), *wanted.get("Topics", ()), ""][0]).rpartition("/")[2]


def _short(name: str) -> str:
    return name.removeprefix(f"{PREFIX}-")


_READERS = {
    "AWS::IAM::Role": _roles,
    "AWS::IAM::Policy": _attached,
    "AWS::S3::BucketPolicy": _of_resource("PolicyDocument", "arn:aws:s3:::{name}"),
    "AWS::SQS::QueuePolicy": _of_resource("PolicyDocument", f"arn:aws:sqs:{HERE}:{{name}}"),
    "AWS::SNS::TopicPolicy": _of_resource("PolicyDocument", "{name}"),
    "AWS::KMS::Key": _of_resource("KeyPolicy", f"arn:aws:kms:{HERE}:key/{{id}}"),
    "AWS::ECR::Repository": _of_resource(
        "RepositoryPolicyText", f"arn:aws:ecr:{HERE}:repository/{{name}}"
    ),
}
