"""Numbers and digests of a run's documents as texts.

loss(2.71828)                       # "2.7183"; "–" for an unknown one
digests(prepared, trained, record)  # what · which version · sha256, from the raw table to the model
"""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]
UNKNOWN = "–"


def loss(value: float | None) -> str:
    """Return a loss with four decimals."""
    return UNKNOWN if value is None else f"{value:.4f}"


def brief(value: float) -> str:
    """Return a number with at most five digits that matter."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int) else f"{value:.5g}"


def value(given: Any) -> str:
    """Return a metric: a number, or several."""
    if isinstance(given, list):
        return ", ".join(map(str, given)) or UNKNOWN
    return brief(given) if isinstance(given, int | float) else UNKNOWN


def digests(
    prepared: Document | None, trained: Document | None, record: Document | None
) -> list[tuple[str, str, str]]:
    """Return each object of the lineage with its version and digest, as the documents have them."""
    prepared, trained = prepared or {}, trained or {}
    rows = []
    for name, key, files in (
        ("raw table", "source", "raw_files"),
        ("curated table", "target", "files"),
    ):
        if version := prepared.get(key):
            every = prepared.get(files) or []
            many = f"of {len(every)} files, in the manifest"
            digest = every[0]["sha256"] if len(every) == 1 else many
            rows.append((name, f"{version['table']} version {version['version']}", digest))
    if reused := prepared.get("reused"):
        rows.append(("examples made by", reused["execution_arn"], reused["manifest_sha256"]))
    if data := trained.get("data"):
        rows.append(("Prepare's manifest", data["table"], data["manifest_sha256"]))
    if base := trained.get("base_model"):
        which = f"{base['name']} {base['revision'][:12]}"
        rows.append(("base model", which, base["mirror_sha256"]))
    if record:
        model, artifact = record["model"], record["artifact"]
        rows.append(("archive", artifact["uri"].rsplit("/", 3)[1], artifact["sha256"]))
        rows.append(("model version", f"{model['name']}@{model['version']}", record["key"]))
    return rows
