"""SageMaker's own registry for the stub: the embedded environment's operations, without IAM.

registry = PackageRegistry()
registry.call("CreateModelPackage", request, "alice")
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.local.aws import limits
from pipeline.local.aws.errors import ServiceError
from pipeline.local.aws.model_packages.packages import ModelPackages
from pipeline.local.aws.store import Store

GROUP = "approved-models"
ACCOUNT = "arn:aws:sagemaker:us-east-1:000000000000"


class PackageRegistry:
    """One group, empty at first. `users` has the name of each access key."""

    def __init__(self) -> None:
        account: Any = SimpleNamespace(
            store=Store(Path(":memory:")),
            arn=lambda service, resource: f"{ACCOUNT}:{resource}",
            check_allowed=lambda *_: None,
        )
        self.store, self.users = account.store, dict[str, str]()
        self._operations = ModelPackages(account).operations
        self.call("CreateModelPackageGroup", {"ModelPackageGroupName": GROUP}, "")

    def serves(self, action: str) -> bool:
        return action in self._operations

    def call(self, action: str, request: dict[str, Any], key: str) -> dict[str, Any]:
        """Serve a request of who has an access key.

        Raises:
            ServiceError: it is refused.
        """
        limits.check(limits.input_of("sagemaker", action), request)
        arn = f"arn:aws:iam::000000000000:user/{self.users.get(key, 'somebody')}"
        caller: Any = SimpleNamespace(arn=arn, principal_id=None)
        return self._operations[action](caller, request)

    def packages(self) -> list[dict[str, Any]]:
        """All packages, oldest first."""
        return self.store.all("model-package")


__all__ = ["GROUP", "PackageRegistry", "ServiceError"]
