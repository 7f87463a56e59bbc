"""Mirror a base model from the hub to S3, at one revision, with the sha256 of every file: what Train verifies and loads.

    python -m pipeline.mirror --env dev --repository mistralai/Ministral-3-3B-Instruct-2512
    python -m pipeline.mirror --env dev --folder DIR      # files that are here already

Name and revision are those of conf/ENV.yaml. Only what the trainer reads is taken: no pickles, no second copy of the weights
(`consolidated*`). The licence that the model's own card names is noted, so that the card of what is tuned can state it; where
there is no card, none is. `mirror.json` is uploaded last, so its presence means that the mirror is whole; a mirror is never
changed. The download from the hub is [unverified]: no machine of ours reaches it.
"""

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml

from pipeline import account, command, config, layout
from pipeline.command import put, say
from pipeline.errors import UsageError

MIRROR = "mirror.json"
TAKEN = ("*.safetensors", "*.json", "*.jinja")
LEFT = ("consolidated*", "params.json")  # Mistral's own format: the same weights once more
CARD = "README.md"  # read for its licence, not mirrored
_FRONT_MATTER = re.compile(r"---\r?\n(.*?)\n---\r?\n", re.DOTALL)
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")  # the hub's identifiers; Train takes no other


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = command.parser("pipeline.mirror", __doc__ or "", command.EXIT_CODES)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--repository", help="the hub's name of the model, owner/name")
    source.add_argument("--folder", type=Path, help="a folder that holds the model's files already")
    arguments = parser.parse_args(argv)
    configured = config.load(command.environment(arguments.env))
    import boto3

    s3 = boto3.client("s3", region_name=configured.aws.region)
    with nullcontext(arguments.folder) if arguments.folder else tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if arguments.repository:
            _download(arguments.repository, configured.train.base_model_revision, folder)
        document = described(folder, configured.train.base_model, configured.train.base_model_revision)
        uri = layout.base_model(configured)
        with account.answering(f"mirroring to {uri}", configured):
            done = upload(s3, folder, document, uri=uri)
    put(f"{uri} {'holds' if done else 'already held'} {len(document['files'])} files")
    return 0


def described(folder: Path, name: str, revision: str) -> dict[str, Any]:
    """The mirror document of a folder's files: name, revision, and path, size and sha256 of each.

    Raises:
        UsageError: there are no weights among them.
    """
    paths = sorted(path for pattern in TAKEN for path in folder.glob(pattern) if path.name != MIRROR)
    paths = [path for path in paths if not any(path.match(pattern) for pattern in LEFT)]
    if not any(path.suffix == ".safetensors" for path in paths):
        raise UsageError(
            f"no model to mirror in {folder}\n  expected  safetensors weights\n  got       {len(paths)} other files"
        )
    files = [{"path": path.name, "size": path.stat().st_size, "sha256": _sha256(path)} for path in paths]
    stated = licence(folder)
    return {"name": name, "revision": revision, "files": files} | ({"licence": stated} if stated else {})


def licence(folder: Path) -> str | None:
    """The licence that the front matter of the folder's model card names, in the hub's word for it; None without one."""
    card = folder / CARD
    front_matter = _FRONT_MATTER.match(card.read_text(encoding="utf-8")) if card.exists() else None
    try:
        document = yaml.safe_load(front_matter[1]) if front_matter else None
    except yaml.YAMLError:  # the hub would not read it either
        return None
    stated = document.get("license") if isinstance(document, dict) else None
    return stated if isinstance(stated, str) and _LICENCE.fullmatch(stated) else None


def upload(s3: Any, folder: Path, mirror: dict[str, Any], *, uri: str) -> bool:
    """Put the files and then the document to `uri`; False, and nothing done, where a mirror stands already."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if s3.list_objects_v2(Bucket=bucket, Prefix=prefix + MIRROR).get("KeyCount", 0):
        return False
    for entry in mirror["files"]:
        s3.upload_file(str(folder / entry["path"]), bucket, prefix + entry["path"])
    s3.put_object(Bucket=bucket, Key=prefix + MIRROR, Body=json.dumps(mirror, indent=1).encode())
    return True


def _download(repository: str, revision: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    say(f"downloading {repository} at {revision}")
    snapshot_download(
        repository, revision=revision, local_dir=folder, allow_patterns=[*TAKEN, CARD], ignore_patterns=list(LEFT)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(command.ended(main))
