"""Everything that can be taken from an embedded environment, one at a time, and put back.

for removal in removals.statements(client):
    with removal.made(): ...       # the check `removal.check` must be missing now, no other
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline import rights
from pipeline.configuration.config import Config

Client = Callable[[str], Any]
PREFIX = "governed-finetune-local"


@dataclass(frozen=True)
class Removal:
    """What is taken away, the beginning of its check's name, and how."""

    check: str
    take: Callable[[], Any]
    give: Callable[[], Any]

    @contextmanager
    def made(self) -> Iterator[None]:
        """Take it away for the block."""
        self.take()
        try:
            yield
        finally:
            self.give()


def grants(config: Config, admin: Any, ids: dict[str, str]) -> Iterator[Removal]:
    """Every privilege of every grant."""
    metastore = str(admin.metastores.summary().metastore_id)
    for grant in rights.needed(rights.places(config)):
        for privilege in grant.privileges:

            def change(word: str, grant: Any = grant, privilege: str = privilege) -> None:
                path = f"permissions/{grant.kind}/{grant.name or metastore}"
                change = {"principal": ids[grant.principal], word: [privilege]}
                admin.api_client.do(
                    "PATCH", f"/api/2.1/unity-catalog/{path}", body={"changes": [change]}
                )

            on = " ".join([grant.kind, grant.name]).strip()
            yield Removal(
                f"grant {privilege} on {on} to {grant.principal}",
                lambda change=change: change("remove"),
                lambda change=change: change("add"),
            )


def statements(client: Client) -> Iterator[Removal]:
    """Every statement of every policy of a role, bucket, queue, key and repository."""
    iam = client("iam")
    for role in _named(iam.list_roles()["Roles"], "RoleName"):
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            yield from _of_document(
                f"policy {name} of role {role}",
                iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"],
                lambda document, role=role, name=name: iam.put_role_policy(
                    RoleName=role, PolicyName=name, PolicyDocument=document
                ),
            )
        yield from _of_document(
            f"trust of role {role}",
            iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"],
            lambda document, role=role: iam.update_assume_role_policy(
                RoleName=role, PolicyDocument=document
            ),
        )
    s3 = client("s3")
    for bucket in _named(s3.list_buckets()["Buckets"], "Name"):
        yield from _of_document(
            f"policy of bucket {bucket}",
            json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]),
            lambda document, bucket=bucket: s3.put_bucket_policy(Bucket=bucket, Policy=document),
        )
    yield from _of_queues(client("sqs"))
    yield from _of_repositories(client("ecr"))


def _of_queues(sqs: Any) -> Iterator[Removal]:
    for url in sqs.list_queues()["QueueUrls"]:
        name = url.rpartition("/")[2]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
        yield from _of_document(
            f"policy of queue {name}",
            json.loads(found["Policy"]),
            lambda document, url=url: sqs.set_queue_attributes(
                QueueUrl=url, Attributes={"Policy": document}
            ),
        )


def _of_repositories(ecr: Any) -> Iterator[Removal]:
    for repository in ("governed-finetune/prepare", "governed-finetune/register"):
        yield from _of_document(
            f"policy of repository {repository}",
            json.loads(ecr.get_repository_policy(repositoryName=repository)["policyText"]),
            lambda document, name=repository: ecr.set_repository_policy(
                repositoryName=name, policyText=document
            ),
        )


def _of_document(
    where: str, document: dict[str, Any], put: Callable[[str], Any]
) -> Iterator[Removal]:
    """Each statement of one policy; a policy of one statement gets another in its place."""
    harmless = {"Sid": "Other", "Effect": "Deny", "Principal": "*", "Action": "sqs:AddPermission"}
    harmless |= {"Resource": "*"} if "trust" not in where else {"Action": "sts:TagSession"}
    if "of role" in where and "trust" not in where:
        harmless.pop("Principal")
    listed = document["Statement"]
    for number, statement in enumerate(listed, 1):
        others = [each for each in listed if each is not statement] or [harmless]
        less = json.dumps(document | {"Statement": others})
        yield Removal(
            f"{where}: {statement.get('Sid', f'statement {number}')}",
            lambda less=less: put(less),
            lambda: put(json.dumps(document)),
        )


def resources(client: Client) -> Iterator[Removal]:
    """What can be made again as it was, without its stack."""
    secrets, kms, logs = client("secretsmanager"), client("kms"), client("logs")
    yield _way_out(client("ec2"))
    for secret in _named(secrets.list_secrets()["SecretList"], "Name"):
        yield Removal(
            "SecretsManager::Secret",
            lambda secret=secret: secrets.delete_secret(SecretId=secret, RecoveryWindowInDays=7),
            lambda secret=secret: secrets.restore_secret(SecretId=secret),
        )
    watch = client("cloudwatch")
    for alarm in watch.describe_alarms()["MetricAlarms"]:
        kept = {key: value for key, value in alarm.items() if key in _OF_AN_ALARM}
        yield Removal(
            "CloudWatch::Alarm",
            lambda name=alarm["AlarmName"]: watch.delete_alarms(AlarmNames=[name]),
            lambda kept=kept: watch.put_metric_alarm(**kept),
        )
    for group in ("/aws/sagemaker/TrainingJobs", "/aws/emr-serverless"):
        yield Removal(
            "Logs::LogGroup",
            lambda group=group: logs.delete_log_group(logGroupName=group),
            lambda group=group: logs.create_log_group(logGroupName=group),
        )
    for alias in ("register", "approval"):
        name = f"alias/{PREFIX}-{alias}"
        key = kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"]
        yield Removal(
            "KMS::Alias",
            lambda name=name: kms.delete_alias(AliasName=name),
            lambda name=name, key=key: kms.create_alias(AliasName=name, TargetKeyId=key),
        )


def _way_out(ec2: Any) -> Removal:
    """The rule that lets jobs call the workspace."""
    named = [{"Name": "tag:Name", "Values": [f"{PREFIX}-jobs"]}]
    (group,) = ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    rule = [one for one in group["IpPermissionsEgress"] if one["IpProtocol"] == "tcp"]
    chosen = {"GroupId": group["GroupId"], "IpPermissions": rule}
    return Removal(
        f"network of Prepare: security groups {group['GroupId']}",
        lambda: ec2.revoke_security_group_egress(**chosen),
        lambda: ec2.authorize_security_group_egress(**chosen),
    )


_OF_AN_ALARM = (
    *("AlarmName", "MetricName", "Namespace", "Statistic", "Dimensions", "Period"),
    *("EvaluationPeriods", "Threshold", "ComparisonOperator", "TreatMissingData", "AlarmActions"),
)


def _named(found: list[dict[str, Any]], key: str) -> list[str]:
    return sorted(each[key] for each in found if str(each[key]).startswith(PREFIX))
