"""The policies of a layer, statement by statement: the template's and the account's.

A statement that the account lacks is one check, named by its `Sid`, with the statement to add. A
statement that the template does not have is one check too, unless one of its document is missing,
because a changed statement would be both.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pipeline.doctor.check import MISSING, Check
from pipeline.doctor.template import Layer

Client = Callable[[str], Any]


def compared(layer: Layer, client: Client) -> Iterator[Check]:
    """Yield a check for each statement of each policy of the layer's resources."""
    for name, kind in layer.resources().items():
        if kind in _POLICIES and layer.physical(name) is not None:
            yield from _POLICIES[kind](layer, name, client)


def _role(layer: Layer, name: str, client: Client) -> Iterator[Check]:
    iam, wanted = client("iam"), layer.properties(name)
    role = wanted["RoleName"]
    trust = asked(lambda: iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"])
    if trust is None:
        return  # the role itself is missing, and another check names it
    yield from _each(f"trust of role {role}", wanted["AssumeRolePolicyDocument"], trust)
    for policy in wanted.get("Policies", ()):
        yield from _inline(iam, role, policy)


def _attached(layer: Layer, name: str, client: Client) -> Iterator[Check]:
    iam, wanted = client("iam"), layer.properties(name)
    for role in wanted["Roles"]:
        yield from _inline(iam, role, wanted)


def _inline(iam: Any, role: str, policy: dict[str, Any]) -> Iterator[Check]:
    if asked(lambda: iam.get_role(RoleName=role)) is None:
        return  # as above
    name = policy["PolicyName"]
    found = asked(lambda: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
    yield from _each(f"policy {name} of role {role}", policy["PolicyDocument"], found or {})


def _bucket(layer: Layer, name: str, client: Client) -> Iterator[Check]:
    wanted = layer.properties(name)
    found = asked(lambda: client("s3").get_bucket_policy(Bucket=wanted["Bucket"])["Policy"])
    yield from _each(f"policy of bucket {wanted['Bucket']}", wanted["PolicyDocument"], found)


def _key(layer: Layer, name: str, client: Client) -> Iterator[Check]:
    key = layer.physical(name)
    found = asked(lambda: client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    yield from _each(f"policy of key {name}", layer.properties(name)["KeyPolicy"], found)


def _queue(layer: Layer, name: str, client: Client) -> Iterator[Check]:
    wanted = layer.properties(name)
    for url in wanted["Queues"]:
        queue = url.rpartition("/")[2]
        found = asked(partial(_queue_policy, client("sqs"), queue))
        yield from _each(f"policy of queue {queue}", wanted["PolicyDocument"], found)


def _queue_policy(sqs: Any, queue: str) -> Any:
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    return attributes.get("Attributes", {}).get("Policy") or {}


def _topic(layer: Layer, name: str, client: Client) -> Iterator[Check]:
    wanted = layer.properties(name)
    for topic in wanted["Topics"]:
        found = asked(partial(client("sns").get_topic_attributes, TopicArn=topic))
        policy = None if found is None else found["Attributes"].get("Policy") or {}
        yield from _each(
            f"policy of topic {topic.rpartition(':')[2]}", wanted["PolicyDocument"], policy
        )


def _repository(layer: Layer, name: str, client: Client) -> Iterator[Check]:
    wanted = layer.properties(name)
    if "RepositoryPolicyText" not in wanted:
        return
    repository = wanted["RepositoryName"]
    found = asked(
        lambda: client("ecr").get_repository_policy(repositoryName=repository)["policyText"]
    )
    yield from _each(f"policy of repository {repository}", wanted["RepositoryPolicyText"], found)


_POLICIES: dict[str, Callable[[Layer, str, Client], Iterator[Check]]] = {
    "AWS::IAM::Role": _role,
    "AWS::IAM::Policy": _attached,
    "AWS::S3::BucketPolicy": _bucket,
    "AWS::KMS::Key": _key,
    "AWS::SQS::QueuePolicy": _queue,
    "AWS::SNS::TopicPolicy": _topic,
    "AWS::ECR::Repository": _repository,
}


def asked(read: Callable[[], Any]) -> Any:
    """Return the answer, or None if the service does not know the object; {} if only its policy
    is missing.
    """
    from botocore.exceptions import ClientError

    try:
        return read()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if any(word in code for word in ("NoSuch", "NotFound", "NonExistent", "404")):
            return {} if "Policy" in code else None
        raise


def _each(where: str, wanted: dict[str, Any], found: Any) -> Iterator[Check]:
    if found is None:
        return  # what it belongs to is missing, and another check names it
    document = json.loads(found) if isinstance(found, str) else found
    has = [_plain(statement) for statement in _listed(document.get("Statement", ()))]
    needs = [(_plain(statement), statement) for statement in _listed(wanted["Statement"])]
    missing = False
    for number, (plain, statement) in enumerate(needs, 1):
        name = f"{where}: {statement.get('Sid', f'statement {number}')}"
        if plain in has:
            yield Check(name)
            continue
        missing = True
        yield Check(
            name,
            MISSING,
            "the template's statement",
            "another, or none",
            f"add {json.dumps(statement)}, or deploy the layer again",
        )
    known = [plain for plain, _ in needs]
    if not missing and (others := [each for each in has if each not in known]):
        yield Check(
            f"{where}: statements that the template has not",
            MISSING,
            "none",
            json.dumps(others)[:300],
            "remove them, or deploy the layer again",
        )


def _listed(statements: Any) -> list[dict[str, Any]]:
    return [statements] if isinstance(statements, dict) else list(statements)


def _plain(node: Any) -> Any:
    """Return a policy's value in one form: a list of one is its element; order does not count."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in sorted(node.items())}
    if isinstance(node, (list, tuple)):
        values = sorted((_plain(each) for each in node), key=lambda each: json.dumps(each))
        return values[0] if len(values) == 1 else values
    return str(node).lower() if isinstance(node, bool) else str(node)
