"""What evidence of an environment there is, and what of the catalog it names.

    evidence.versions(site)     # when each version of a document was written
    evidence.named(site)        # {"models": ("edgar.models.risk_analyst",), …}

An audit compares tables and model versions with the records, by id and by tag. A table or a model
that is made again has another id, and its versions count from 1 once more: two records would have
one name. So what evidence names stays, unless a person asks for its removal (`--catalog`).
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from pipeline.bootstrap.site import Site
from pipeline.bootstrap.workspace import exists
from pipeline.configuration.combinations import REJECTED
from pipeline.configuration.config import Config
from pipeline.configuration.parameters import DEFAULTS

Named = Mapping[str, tuple[str, ...]]  # by content: raw, curated, models


def versions(site: Site) -> list[datetime] | None:
    """Return when each version of evidence was written; None without the bucket."""
    s3, bucket = site.client("s3"), site.config.storage.evidence_bucket
    try:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        return [each["LastModified"] for page in pages for each in page.get("Versions", ())]
    except s3.exceptions.NoSuchBucket:
        return None


def tables(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the tables that are the environment's, by content; Prepare makes two."""
    raw, curated = (
        str(config.parameters.get(key, DEFAULTS[key])) for key in ("RawTable", "CuratedTable")
    )
    return {"raw": (raw,), "curated": (curated, curated + REJECTED)}


def model(config: Config) -> str:
    """Return the name of the registered model."""
    return str(config.parameters.get("ModelName", DEFAULTS["ModelName"]))


def named(site: Site) -> Named:
    """Return the tables and the model that exist, by content, if there is any evidence."""
    if not versions(site):
        return {}
    admin, config = site.admin(), site.config
    found = {
        content: tuple(name for name in names if exists(partial(admin.tables.get, name)))
        for content, names in tables(config).items()
    }
    name = model(config)
    if exists(partial(admin.registered_models.get, name)):
        found["models"] = (name,)
    return {content: names for content, names in found.items() if names}
