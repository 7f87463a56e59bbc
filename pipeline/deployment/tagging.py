"""Make the deployed pipeline's tags equal to conf: write its tags, remove those it no longer has.

    changes = tagging.needed(have, wanted, deployed=definition)
    tagging.make(changes, configured, client, arn)

The tags of the origin (`provenance`) are written too. Only a tag that an upsert wrote is removed. A
tag (`provenance.CONFIGURED`) records which these are. A pipeline without this record was deployed
by an earlier release: its definition names the tags that it gives its jobs, which are the same.
AWS's own tags (`aws:…`) and those of other people and tools stay.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.deployment import provenance

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Changes:
    """The tags to write, and the keys of those to remove."""

    written: Tags
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.written or self.removed)


def read(configured: Config, client: Any, arn: str) -> dict[str, str]:
    """Return every tag of the pipeline.

    Raises:
        Refused: AWS refused.
    """
    with account.answering(f"ListTags {arn}", configured):
        pages = client.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def needed(have: Tags, wanted: Tags, *, deployed: str | None) -> Changes:
    """Return the changes that make the tags equal to the wanted ones.

    Args:
        have: the pipeline's tags.
        wanted: the tags of this upsert.
        deployed: the definition that was deployed before, or None.
    """
    written = {key: value for key, value in wanted.items() if have.get(key) != value}
    removed = sorted(key for key in have if key not in wanted and _is_ours(key, have, deployed))
    return Changes(written, tuple(removed))


def make(changes: Changes, configured: Config, client: Any, arn: str) -> None:
    """Remove and write tags.

    The record of our tags is written last, so that the next upsert repeats a removal that failed.

    Raises:
        Refused: AWS refused.
    """
    if changes.removed:
        with account.answering(f"DeleteTags {arn}", configured):
            client.delete_tags(ResourceArn=arn, TagKeys=list(changes.removed))
    if changes.written:
        with account.answering(f"AddTags {arn}", configured):
            client.add_tags(ResourceArn=arn, Tags=pairs(changes.written))


def shown(have: Tags, changes: Changes, configured: Config) -> dict[str, str]:
    """Return the deployed tags that come or came from conf, for a diff.

    The tags of the origin are left out, because they change with every commit.
    """
    return {
        key: value
        for key, value in have.items()
        if key in configured.pipeline.tags or key in changes.removed
    }


def pairs(tags: Tags) -> list[dict[str, str]]:
    """Return the tags in the form of the service."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _is_ours(key: str, have: Tags, deployed: str | None) -> bool:
    if key.startswith("aws:"):
        return False
    recorded = have.get(provenance.CONFIGURED)
    if recorded is not None:
        return provenance.key_digest(key) in recorded.split()
    return key in _given_to_jobs(deployed)


def _given_to_jobs(definition: str | None) -> set[str]:
    steps = json.loads(definition)["Steps"] if definition else []
    return {
        tag["Key"]
        for step in steps
        if step["Type"] == "Training"
        for tag in step["Arguments"].get("Tags", [])
    }
