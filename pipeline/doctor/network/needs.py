"""Which hosts each job calls over HTTPS, and where each job runs.

    for place in needs.places(config, client): place.job, place.subnets, place.needs

A job without subnets of yours is not here, unless it reaches nothing then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from pipeline.configuration.config import Config
from pipeline.doctor import layers
from pipeline.doctor.statements import Client, asked


@dataclass(frozen=True)
class Need:
    """An endpoint of AWS by its name in `com.amazonaws.<region>.<name>`, or another host.

    `by_aws`: AWS itself calls it for the job. No page states that it does so through the job's
    subnets, so one that is out of reach is "unknown".
    """

    name: str
    is_host: bool = False
    by_aws: bool = False


@dataclass(frozen=True)
class Place:
    """A job with its subnets, its security groups and what it calls."""

    job: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    needs: tuple[Need, ...]


# Names as in the roles' policies of conf/infrastructure/identity.yaml; a test compares both.
_SERVICES = {
    "Prepare": ("s3",),
    "Train": ("s3",),
    "Register": ("s3", "sqs", "sagemaker.api", "kms", "emr-serverless"),
}
# Logs, images and metrics: of EMR Serverless, SageMaker and Lambda.
_BY_AWS = {
    "Prepare": ("logs", "ecr.api", "ecr.dkr"),
    "Train": ("logs", "ecr.api", "ecr.dkr", "monitoring"),
    "Register": ("logs", "ecr.api", "ecr.dkr"),
}


def of(job: str, config: Config) -> tuple[Need, ...]:
    """Return what a job calls with this configuration."""
    databricks = config.databricks
    federated = databricks.identity == "federated"
    services = [*_SERVICES[job], "sts" if federated else "secretsmanager"]
    hosts = [str(urlsplit(databricks.host).hostname)]
    events = config.openlineage
    if events and events.transport == "datazone":
        services.append("datazone")
    if events and events.transport == "http":
        hosts.append(str(urlsplit(str(events.url)).hostname))
    return (
        *(Need(name) for name in services),
        *(Need(name, by_aws=True) for name in _BY_AWS[job]),
        *(Need(host, is_host=True) for host in hosts),
    )


def places(config: Config, client: Client) -> Iterator[Place]:
    """Yield each job that runs in subnets of the account, and Prepare even without."""
    number = config.prepare.application_id
    get = client("emr-serverless").get_application
    found = asked(lambda: get(applicationId=number)["application"])
    if found is not None:  # else its own check names it
        network = found.get("networkConfiguration", {})
        subnets, groups = network.get("subnetIds", ()), network.get("securityGroupIds", ())
        yield Place("Prepare", tuple(subnets), tuple(groups), of("Prepare", config))
    train = config.train
    if train.subnet_ids:
        needs = of("Train", config)
        yield Place("Train", tuple(train.subnet_ids), tuple(train.security_group_ids), needs)
    yield from _worker(config, client)


def _worker(config: Config, client: Client) -> Iterator[Place]:
    """Yield the place of the worker's function or service, if it is in subnets.

    A function without subnets is in Lambda's own network, which reaches every host.
    """
    name = f"governed-finetune-{config.environment}"
    stack = layers.stack(client("cloudformation"), f"{name}-compute") or {}
    values = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", ())}
    needs = of("Register", config)
    if values.get("WorkerKind") == "lambda":
        get = client("lambda").get_function_configuration
        found = asked(lambda: get(FunctionName=f"{name}-register")) or {}
        network = found.get("VpcConfig", {})
        if subnets := network.get("SubnetIds"):
            yield Place("Register", tuple(subnets), tuple(network["SecurityGroupIds"]), needs)
    if values.get("WorkerKind") == "ecs":
        # Fargate pulls the image and writes the log through the task's own interface (AWS's page
        # "Fargate task networking"), so these are needs of the task
        needs = tuple(replace(need, by_aws=False) for need in needs)
        describe = partial(client("ecs").describe_services, cluster=name)
        for service in (asked(partial(describe, services=[f"{name}-register"])) or {}).get(
            "services", ()
        ):
            network = service["networkConfiguration"]["awsvpcConfiguration"]
            groups = tuple(network["securityGroups"])
            yield Place("Register", tuple(network["subnets"]), groups, needs)
