"""An account of AWS and a workspace of Databricks as a site. [unverified: none was at hand]

    site = cloud.site("dev", filings)

The caller is an administrator of both: AWS credentials and the SDK's environment variables. conf is
a file of the repository, so what it lacks is printed for a person to commit. A federated
environment's application ids are among that: its conf is read without them.
"""

import base64
import os
from functools import partial
from typing import Any

from pipeline import account as aws_account
from pipeline import command, layout, rights
from pipeline.bootstrap import experiments, identities, parameters, right_account, workspace
from pipeline.bootstrap.change import Change, Changes
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.deployment import placeholders
from pipeline.doctor import account
from pipeline.doctor.statements import asked
from pipeline.doctor.workspace import principals
from pipeline.errors import UsageError

_ACCOUNTS = {"us-gov-": "https://accounts.cloud.databricks.us"}
_COMMERCIAL = "https://accounts.cloud.databricks.com"
_BASES = "PREPARE_BASE TRAIN_BASE REGISTER_BASE EVIDENCE_BASE"


def site(environment: str, filings: Any, *, remove_secrets: bool = False) -> "Cloud":
    """Return the site of an environment, whose account the caller's credentials reach.

    Raises:
        ConfigError: the account or the workspace's host is a placeholder.
        Refused: the credentials are of another account, or AWS refused them.
    """
    found = Cloud(environment, filings, remove_secrets=remove_secrets)
    right_account.refuse_other(found.config, found.client)
    return found


class Cloud:
    """The administrator of an account and a workspace; see `site.Site`."""

    def __init__(self, environment: str, filings: Any, *, remove_secrets: bool = False) -> None:
        self.config: Config = configuration.load(environment, ids_known=False)
        self._filings = filings  # of pipeline.local.setup.filings, or None
        self._remove_secrets = remove_secrets  # of principals that are federated now
        self._clients: dict[str, Any] = {}
        self._workspace: Any = None

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self._clients:
            self._clients[service] = aws_account.client(service, self.config)
        return self._clients[service]

    def admin(self) -> Any:
        """Return the workspace's client, with the identity of the SDK's variables."""
        if self._workspace is None:
            from databricks.sdk import WorkspaceClient

            self._workspace = WorkspaceClient(host=self.config.databricks.host)
        return self._workspace

    def given(self) -> dict[str, str]:
        """Return the parameters of conf/infrastructure/parameters/<env>.yaml."""
        return parameters.file(self.config.environment)

    def images(self) -> Changes:
        """Yield, for a person, each image of conf that its repository lacks."""
        config = self.config
        for step, image in (("prepare", config.prepare.image), ("register", config.register.image)):
            repository, _, digest = image.partition("@")
            if not self._pushed(repository.partition("/")[2], digest):
                registry = repository.partition("/")[0]
                lines = (
                    f"scripts/images {registry} {_BASES}    (needs Docker)",
                    f"then put the digest into conf/{config.environment}.yaml: {step}.image",
                )
                yield Change("!", f"image of {step}: {image}", None, lines, stops=True)

    def _pushed(self, repository: str, digest: str) -> bool:
        if set(digest.removeprefix("sha256:")) <= {"0"}:
            return False  # a placeholder
        ecr = self.client("ecr")
        wanted = [{"imageDigest": digest}]
        try:
            found = asked(lambda: ecr.describe_images(repositoryName=repository, imageIds=wanted))
        except ecr.exceptions.RepositoryNotFoundException:
            return False
        return found is not None

    def learned(self, outputs: dict[str, str]) -> Changes:
        """Yield the application and the public keys, where conf has others."""
        config, evidence = self.config, self.config.evidence
        if "ApplicationId" in outputs:
            yield from self._stated(
                "prepare.application_id", config.prepare.application_id, outputs["ApplicationId"]
            )
        kms = self.client("kms")
        for name, arn, pinned in (
            ("signing_public_key", evidence.signing_key_arn, evidence.signing_public_key),
            ("approval_public_key", evidence.approval_key_arn, evidence.approval_public_key),
        ):
            found = asked(partial(kms.get_public_key, KeyId=arn))
            if found is not None:
                key = base64.b64encode(found["PublicKey"]).decode()
                yield from self._stated(f"evidence.{name}", str(pinned), key)

    def sign_in(self) -> Changes:
        """Yield secrets or federation policies, as databricks.identity has it."""
        config, name = self.config, self.config.environment
        account_id = os.environ.get("DATABRICKS_ACCOUNT_ID", "")
        if not account_id:
            raise UsageError(
                "$DATABRICKS_ACCOUNT_ID: expected the Databricks account's id, got none; the "
                "account console shows it"
            )
        if config.databricks.identity == "secret":
            store = self.client("secretsmanager")
            yield from identities.secrets(self.admin(), store, name, account=account_id)
            return
        issuer: list[str] = []
        yield from identities.issuer(self.client("iam"), issuer.append)
        policies = {
            who: {
                "issuer": issuer[0] if issuer else "(known after apply)",
                "subject": f"{config.pipeline.role_arn.rpartition('/')[0]}/{self._role(who)}",
                "audiences": [identities.AUDIENCE],
            }
            for who in rights.PRINCIPALS
        }
        api = _Account(_host(config.aws.region), account_id)
        yield from identities.federation(self.admin(), api, name, policies)
        secrets = identities.removed if self._remove_secrets else identities.left
        yield from secrets(self.admin(), self.client("secretsmanager"), name)

    def _role(self, principal: str) -> str:
        return f"governed-finetune-{self.config.environment}-{principal}"

    def client_ids(self) -> Changes:
        """Yield the application ids that conf states otherwise."""
        config = self.config
        ids = principals(config, self.admin())
        stated = {"register.databricks_client_id": str(config.register.databricks_client_id)}
        if "register" in ids and config.register.databricks_client_id is not None:
            yield from self._stated(*next(iter(stated.items())), ids["register"])
        if config.databricks.identity == "federated":
            for who, found in ids.items():
                has = str(config.databricks.client_ids.get(who))  # type: ignore[call-overload]
                yield from self._stated(f"databricks.client_ids.{who}", has, found)

    def _unknown_ids(self) -> bool:
        databricks = self.config.databricks
        missing = set(rights.PRINCIPALS) - set(databricks.client_ids)
        return databricks.identity == "federated" and bool(missing)

    def _stated(self, key: str, has: str, wanted: str) -> Changes:
        if has != wanted:
            file = f"conf/{self.config.environment}.yaml"
            yield Change("!", f"{file}: {key}", None, (f"{key}: {wanted}",))

    def mirror(self) -> Changes:
        """Yield the mirror, which is copied from the hub."""
        config, name = self.config, self.config.environment
        if account.mirrored(config, self.client("s3")):
            return
        faults = dict(placeholders.faults(configuration.tree(config), environment=name))
        if key := next((key for key in faults if "base_model_revision" in key), None):
            yield Change("!", f"conf/{name}.yaml: {key}", None, ("the commit to mirror",))
            return
        if self._unknown_ids():  # the mirror's command reads conf as everybody does
            detail = ("when conf has databricks.client_ids: run the same command again",)
            yield Change("!", f"base model's mirror {layout.base_model(config)}", None, detail)
            return

        def make() -> None:
            from pipeline import mirror

            mirror.main(["--env", name, "--repository", config.train.base_model])

        yield Change("+", f"base model's mirror {layout.base_model(config)}", make)

    def raw_table(self) -> Changes:
        """Yield the raw table with the filings that were given; without any, a person loads it."""
        from pipeline.configuration.parameters import DEFAULTS

        name = str(self.config.parameters.get("RawTable", DEFAULTS["RawTable"]))
        if workspace.exists(lambda: self.admin().tables.get(name)):
            return
        if self._filings is None:
            again = command.line("pipeline.bootstrap", self.config.environment, "--filings PATH")
            yield Change("!", f"table {name}", None, (f"load it, or: {again}",))
            return
        from pipeline.local.setup import raw_table

        yield from workspace.own_grants(self.admin(), self.config)
        location = f"s3://{self.config.storage.governed_bucket}/raw/filings"
        region = {"AWS_REGION": self.config.aws.region}
        load = partial(raw_table.loaded, aws=region, name=name)
        detail = f"{len(self._filings.rows)} filings in {location}"
        make = partial(load, self.admin(), location, self._filings)
        yield Change("+", f"table {name}", make, (detail,))

    def processes(self) -> Changes:
        """Yield nothing: the layer `compute` has the worker, or you run its image elsewhere."""
        yield from ()

    def experiment(self) -> Changes:
        """Yield the MLflow experiment and its rights, as far as they are missing."""
        yield from experiments.changes(self.admin(), self.config)


class _Account:
    """The Databricks account's API of federation policies, by the SDK's login."""

    def __init__(self, host: str, account_id: str) -> None:
        self._host, self._id = host, account_id

    def do(self, *arguments: Any, **more: Any) -> Any:
        """Send a request as the account's administrator."""
        from databricks.sdk import AccountClient

        client = AccountClient(host=self._host, account_id=self._id)
        return client.api_client.do(*arguments, **more)

    def path(self, number: str) -> str:
        """Return the path of a principal's policies."""
        return f"/api/2.0/accounts/{self._id}/servicePrincipals/{number}/federationPolicies"


def _host(region: str) -> str:
    return next(
        (host for start, host in _ACCOUNTS.items() if region.startswith(start)), _COMMERCIAL
    )
