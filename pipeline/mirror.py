"""Mirror a base model from the hub to S3, at one revision, with the sha256 of every file.

    python -m pipeline.mirror --env dev --repository mistralai/Ministral-3-3B-Instruct-2512
    python -m pipeline.mirror --env dev --folder DIR      # files that are already on this machine

Train verifies and loads the mirror. Name and revision are those of conf/ENV.yaml. Only files that
Train reads are taken: no pickles, no second copy of the weights (`consolidated*`). The licence that
the model's card states is recorded, so that the card of a tuned model can state it too. A folder
that is not a whole model, or not one that Train can use, is refused with all its faults.

`mirror.json` is uploaded after the files. An interrupted first upload therefore leaves no mirror,
and the same command completes it. An existing mirror is read, each object once, and compared with
its sha256. A whole one is never changed: other content for it is refused with the difference (exit
1). A broken one, which Train would refuse, is replaced, and the command names the files.
The download from the hub is [unverified]: no machine of ours reaches it.
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

from pipeline import account, command, layout
from pipeline.base_model import files, trainable
from pipeline.base_model.document import LICENCE, MIRROR, differing, entries
from pipeline.base_model.existing_mirror import ExistingMirror
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.errors import Refused, UsageError, listed
from pipeline.shell import amount

__all__ = ["CARD", "LEFT", "MIRROR", "TAKEN", "described", "licence", "main", "upload"]

TAKEN = ("*.safetensors", "*.json", "*.jinja")
LEFT = ("consolidated*", "params.json")  # the same weights in Mistral's own format
_PIECE_BYTES = 8 * 2**20
CARD = "README.md"  # read for its licence, not mirrored
# Names that every file system and S3 take, and that are readable in a message.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
# PyYAML raises the last four for an impossible date, a tag that does not fit its value, and deep
# nesting.
_NOT_YAML = (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError)
_FRONT_MATTER = re.compile(r"---\r?\n(.*?)\n---\r?\n", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = command.parser("pipeline.mirror", __doc__ or "", command.EXIT_CODES)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--repository", help="the hub's name of the model, owner/name")
    source.add_argument("--folder", type=Path, help="a folder that holds the model's files already")
    arguments = parser.parse_args(argv)
    configured = config.load(command.environment(arguments.env))
    import boto3

    s3 = boto3.client("s3", region_name=configured.aws.region)
    with (
        nullcontext(arguments.folder)
        if arguments.folder
        else tempfile.TemporaryDirectory() as place
    ):
        folder = Path(place)
        if arguments.repository:
            _download(arguments.repository, configured.train.base_model_revision, folder)
        document = described(
            folder, configured.train.base_model, configured.train.base_model_revision
        )
        _refuse(folder, trainable.faults(folder))
        uri = layout.base_model(configured)
        with account.answering(f"mirroring to {uri}", configured):
            done = upload(s3, folder, document, uri=uri)
    output(f"{uri} {'holds' if done else 'already held'} {len(document['files'])} files")
    return 0


def described(folder: Path, name: str, revision: str) -> dict[str, Any]:
    """Return a folder's mirror document: name, revision, and each file's path, size and sha256.

    Raises:
        UsageError: the folder has no weights, or its files are not a whole model; with every fault.
    """
    paths = sorted(
        path for pattern in TAKEN for path in folder.glob(pattern) if path.name != MIRROR
    )
    paths = [path for path in paths if not any(path.match(pattern) for pattern in LEFT)]
    if not any(path.suffix == ".safetensors" for path in paths):
        raise UsageError(
            f"no model to mirror in {folder}\n  expected  safetensors weights\n"
            f"  got       {len(paths)} other files"
        )
    _refuse(folder, [*_odd_names(paths), *files.faults(folder, paths)])
    sizes = {path: path.stat().st_size for path in paths}
    with amount.shown("reading", sum(sizes.values())) as add:
        listing = [
            {"path": path.name, "size": size, "sha256": _sha256(path, add)}
            for path, size in sizes.items()
        ]
    document = {"name": name, "revision": revision, "files": listing}
    stated = licence(folder)
    return document | {"licence": stated} if stated else document


def _odd_names(paths: Sequence[Path]) -> list[tuple[str, str]]:
    expected = (
        "expected a name of letters, digits, '.', '_' and '-' that begins with a letter or digit"
    )
    odd = [path.name for path in paths if not _NAME.fullmatch(path.name)]
    return [
        (ascii(name), f"{expected}; rename the file or remove it from the folder") for name in odd
    ]


def _refuse(folder: Path, faults: list[tuple[str, str]]) -> None:
    if faults:
        raise _refusal(folder, faults)


def _refusal(folder: Path, faults: list[tuple[str, str]]) -> UsageError:
    return UsageError(
        f"nothing was uploaded: {listed(f'the model in {folder} has', tuple(faults))}"
    )


def licence(folder: Path) -> str | None:
    """Return the licence in the front matter of the folder's model card, as the hub names it.

    None without a card, or if the card names no licence in the form that the hub uses.

    Raises:
        UsageError: the card cannot be read as UTF-8.
    """
    card = folder / CARD
    try:
        front_matter = (
            _FRONT_MATTER.match(card.read_text(encoding="utf-8")) if card.exists() else None
        )
    except (OSError, UnicodeDecodeError) as error:
        fault = (
            CARD,
            f"expected a text in UTF-8, got {str(error)[:120]}; download it again or remove it",
        )
        raise _refusal(folder, [fault]) from None
    try:
        document = yaml.safe_load(front_matter[1]) if front_matter else None
    except _NOT_YAML as error:  # the hub would not read it either
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        note(f"no licence is recorded: the front matter of {card} cannot be read ({reason})")
        return None
    stated = document.get("license") if isinstance(document, dict) else None
    return stated if isinstance(stated, str) and LICENCE.fullmatch(stated) else None


def upload(s3: Any, folder: Path, mirror: dict[str, Any], *, uri: str) -> bool:
    """Upload the files and then the document to `uri`, and return True.

    Return False, without a change, if the same mirror is already there and whole. For this every
    object is read once: an equal document does not prove that the objects are the right ones.

    Raises:
        Refused: a whole mirror of other content is there; the message has the differences.
    """
    existing = ExistingMirror(s3, uri)
    differences: list[tuple[str, str]] = []
    try:
        there = existing.document()
    except ValueError as error:
        broken = [(MIRROR, f"cannot be read: {str(error)[:200]}")]
    else:
        if there is None:
            _put(s3, folder, mirror, existing=existing)
            return True
        differences = differing(there, mirror)
        broken = existing.faults(there, name=mirror["name"], revision=mirror["revision"])
        if not broken and differences:
            raise _other_content(uri, differences)
        if not broken:
            return False
    note(listed(f"the mirror at {uri} is broken and is replaced; it has", tuple(broken)))
    for name, text in differences:
        note(f"  replaced  {name}: {text}")
    _put(s3, folder, mirror, existing=existing)
    return True


def _other_content(uri: str, differences: list[tuple[str, str]]) -> Refused:
    text = "\n".join(f"  {name}  {difference}" for name, difference in differences)
    return Refused(
        f"another mirror is at {uri}, and it is whole; "
        f"models may have been trained on it, so it is not changed\n{text}\n"
        "  do  mirror the folder that it was made from, or give this content another revision "
        "(train.base_model_revision)"
    )


def _put(s3: Any, folder: Path, mirror: dict[str, Any], *, existing: ExistingMirror) -> None:
    """Upload the files and the document, then delete the objects that the document does not name.

    Train refuses extra files. They belong to the previous mirror, which may need them until the new
    document is uploaded.
    """
    bucket, prefix = existing.bucket, existing.prefix
    with amount.shown("uploading", sum(entry["size"] for entry in mirror["files"])) as add:
        for entry in mirror["files"]:
            name = entry["path"]
            s3.upload_file(str(folder / name), bucket, prefix + name, Callback=add)
    s3.put_object(Bucket=bucket, Key=prefix + MIRROR, Body=json.dumps(mirror, indent=1).encode())
    for name in sorted((existing.sizes() or {}).keys() - entries(mirror).keys() - {MIRROR}):
        note(f"  removed   {name}: {MIRROR} does not name it")
        s3.delete_object(Bucket=bucket, Key=prefix + name)


def _download(repository: str, revision: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    note(f"downloading {repository} at {revision}")
    snapshot_download(
        repository,
        revision=revision,
        local_dir=folder,
        allow_patterns=[*TAKEN, CARD],
        ignore_patterns=list(LEFT),
    )


def _sha256(path: Path, add: amount.Add) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            add(len(piece))
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(command.ended(main))
