"""AddTags, ListTags and DeleteTags on pipelines and training jobs."""

from collections.abc import Callable, Mapping

from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import Invalid, NotFound
from pipeline.local.aws.store import Document

MAX_TAGS = 50  # of one resource [SageMaker's quotas]
_KINDS = {"pipeline": "pipeline", "training-job": "training-job"}


class Tags:
    """Tags by the resource's ARN."""

    def __init__(self, account: Account) -> None:
        self._store = account.store
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "AddTags": self.add,
            "ListTags": self.list_all,
            "DeleteTags": self.delete,
        }

    def add(self, caller: Caller, request: Document) -> Document:
        """Set tags, replacing those of the same key."""
        return {
            "Tags": self._change(
                request, lambda tags: tags | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
            )
        }

    def list_all(self, caller: Caller, request: Document) -> Document:
        """Every tag of the resource."""
        return {"Tags": self._change(request, dict)}

    def delete(self, caller: Caller, request: Document) -> Document:
        """Remove tags by key."""
        self._change(
            request,
            lambda tags: {
                key: value for key, value in tags.items() if key not in request["TagKeys"]
            },
        )
        return {}

    def _change(
        self, request: Document, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> list[Document]:
        kind, _, name = request["ResourceArn"].rpartition(":")[2].partition("/")
        if kind not in _KINDS or self._store.get(kind, name) is None:
            raise NotFound(f"Resource {request['ResourceArn']} does not exist.")
        with self._store.edit(kind, name) as document:
            tags = change({tag["Key"]: tag["Value"] for tag in document["_tags"]})
            if len(tags) > MAX_TAGS:
                raise Invalid(
                    f"{request['ResourceArn']}: expected at most {MAX_TAGS} tags, got {len(tags)}"
                )
            document["_tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
            found: list[Document] = document["_tags"]
            return found
