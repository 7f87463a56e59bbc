"""Rotate the OAuth secret of a service principal, in the four steps of Secrets Manager.

    rotation = Rotation(secrets_manager, admin.service_principal_secrets_proxy, tried)
    rotation.step("createSecret", "governed-finetune-dev/databricks/train", token)
    rotation.whole("governed-finetune-dev/databricks/train")       # all four, by hand

Databricks keeps five secrets of a principal. An OAuth secret that was made and not stored is lost:
nobody reads its value again. So createSecret first removes every secret of the principal that
neither AWSCURRENT nor AWSPREVIOUS nor AWSPENDING names. At most three are named, and one is made.
The replaced secret stays valid until the rotation after the next begins: longer than a job runs.

Answers to what can go wrong. Each step may be repeated, alone or from the first one.
    lost response   of a creation: the secret is removed by the next createSecret; of the others:
                    the repetition sees that the work is done
    crash           the same: what is half done is seen, or removed
    duplicate       of a step: nothing is made twice, because the token's version is there already
    timeout         of botocore and of the workspace's client; Secrets Manager repeats the step
    429, 5xx        botocore's retries; the workspace's reads are repeated, a creation is not
    expired token   of the administrator: replaced once, as everywhere
    a secret that somebody removed meanwhile: the rotation is taken back, and another one begins
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from databricks.sdk.errors import NotFound

from steps.governance.errors import IdentityRefused, UsageError

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
DAYS = 180  # how long a secret is valid; a rotation each 60 days renews it in time
Document = Mapping[str, str]


@dataclass(frozen=True)
class Rotation:
    """Both sides of a rotation: where the secret is stored, and who makes it."""

    store: Any  # the client of Secrets Manager
    proxy: Any  # service_principal_secrets_proxy of a workspace administrator's client
    tried: Callable[[Document], object]  # signs in with a document, or raises
    days: int = DAYS

    def whole(self, secret_id: str) -> str:
        """Run the four steps, or continue those that were begun; return the version's id.

        Raises:
            UsageError: the secret is not one that this can rotate.
            IdentityRefused: the workspace does not take the new secret.
        """
        stages = self._stages(secret_id)
        token = stages.get(PENDING) or str(uuid.uuid4())
        for step in STEPS:
            self.step(step, secret_id, token)
        return token

    def step(self, name: str, secret_id: str, token: str) -> None:
        """Run one step; `token` is the id of the version that it makes. Raises as `whole`."""
        if name not in STEPS:
            raise UsageError(f"a step of {', '.join(STEPS)} was expected, got {name!r:.40}")
        if self._stages(secret_id).get(CURRENT) == token and name != "finishSecret":
            return  # a repetition after the end
        {
            "createSecret": self._create,
            "setSecret": self._set,
            "testSecret": self._test,
            "finishSecret": self._finish,
        }[name](secret_id, token)

    def _create(self, secret_id: str, token: str) -> None:
        current = self._document(secret_id, CURRENT)
        if not {"clientId", "servicePrincipalId", "oauthSecretId"} <= current.keys():
            raise UsageError(
                f"the secret {secret_id} cannot be rotated",
                expected="clientId, servicePrincipalId and oauthSecretId, as DatabricksSPSecret",
                got=f"{', '.join(sorted(current)) or 'nothing'} (values not shown)",
                do="python -m pipeline.bootstrap makes such a secret",
            )
        if self._is_pending(secret_id, token):
            return
        left = self._stages(secret_id).get(PENDING)
        if left not in (None, token):  # of a rotation that nobody continued
            self._take_back(secret_id, str(left))
        self._remove_unnamed(secret_id, current["servicePrincipalId"])
        lifetime = f"{self.days * 24 * 3600}s"
        made = self.proxy.create(current["servicePrincipalId"], lifetime=lifetime)
        document = {**current, "clientSecret": made.secret, "oauthSecretId": made.id}
        self.store.put_secret_value(
            SecretId=secret_id,
            ClientRequestToken=token,
            SecretString=json.dumps(document),
            VersionStages=[PENDING],
        )

    def _set(self, secret_id: str, token: str) -> None:
        """Databricks has the secret since createSecret; see that nobody removed it."""
        pending = self._document(secret_id, PENDING)
        known = {str(each.id) for each in self.proxy.list(pending["servicePrincipalId"])}
        if pending["oauthSecretId"] not in known:
            self._take_back(secret_id, token)
            raise IdentityRefused(
                f"the new OAuth secret of {secret_id} was removed in the workspace",
                do="start the rotation again: this one is taken back",
            )

    def _test(self, secret_id: str, token: str) -> None:
        """Sign in with the new secret.

        Who makes a schedule without a rotation gets this step alone, with an empty version, as a
        test of the function: then the secret in use is tried, if there is one.
        """
        document = self._document(secret_id, PENDING) or self._document(secret_id, CURRENT)
        if document:
            self.tried(document)

    def _finish(self, secret_id: str, token: str) -> None:
        stages = self._stages(secret_id)
        if stages.get(CURRENT) != token:
            if not self._is_pending(secret_id, token):
                raise IdentityRefused(
                    f"the new version of {secret_id} has no value: it does not become the current",
                    do="start the rotation again",
                )
            self.store.update_secret_version_stage(
                SecretId=secret_id,
                VersionStage=CURRENT,
                MoveToVersionId=token,
                RemoveFromVersionId=stages[CURRENT],
            )
        if stages.get(PENDING) == token:
            self._take_back(secret_id, token)
        current = self._document(secret_id, CURRENT)
        self._remove_unnamed(secret_id, current["servicePrincipalId"])

    def _take_back(self, secret_id: str, token: str) -> None:
        self.store.update_secret_version_stage(
            SecretId=secret_id, VersionStage=PENDING, RemoveFromVersionId=token
        )

    def _is_pending(self, secret_id: str, token: str) -> bool:
        """Return whether the token's version has a value; RotateSecret makes one without."""
        staged = self._stages(secret_id).get(PENDING) == token
        return staged and bool(self._document(secret_id, PENDING))

    def _remove_unnamed(self, secret_id: str, number: str) -> None:
        """Remove the principal's secrets that no stage names.

        Raises:
            UsageError: a stage has a secret without its id, which could be any of them.
        """
        named = set(self._named(secret_id))
        for each in list(self.proxy.list(number)):
            if str(each.id) not in named:
                try:
                    self.proxy.delete(number, str(each.id))
                except NotFound:  # a repetition after a lost answer
                    continue

    def _named(self, secret_id: str) -> Iterator[str]:
        for stage in (CURRENT, PREVIOUS, PENDING):
            document = self._document(secret_id, stage)
            if "clientSecret" in document and "oauthSecretId" not in document:
                raise UsageError(
                    f"{stage} of {secret_id} does not name its OAuth secret",
                    expected="oauthSecretId: without it a valid secret could be removed",
                    got="a secret without it",
                    do="python -m pipeline.bootstrap makes such a secret",
                )
            if "oauthSecretId" in document:
                yield document["oauthSecretId"]

    def _stages(self, secret_id: str) -> dict[str, str]:
        """Return the version of each stage."""
        found = self.store.describe_secret(SecretId=secret_id).get("VersionIdsToStages", {})
        return {stage: version for version, stages in found.items() for stage in stages}

    def _document(self, secret_id: str, stage: str) -> Document:
        """Return what a stage holds; an empty document where it holds nothing of this shape."""
        try:
            answer = self.store.get_secret_value(SecretId=secret_id, VersionStage=stage)
        except self.store.exceptions.ResourceNotFoundException:
            return {}
        try:
            found = json.loads(answer.get("SecretString", ""))
        except ValueError:
            return {}
        return cast(Document, found) if isinstance(found, dict) else {}
