"""Check the tokenizer of an adapter: the base model's own, and one that the base can use.

    check_tokenizer(folder, files, base)

Train copies the tokenizer's files from the base byte for byte, and the base's mirror has their
sha256. So any difference is a tokenizer that the model was not trained with.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from steps.governance.documents.document import FileEntry
from steps.register.package.base_model import BaseModel
from steps.register.package.refusal import refused

NAME = "tokenizer.json"
FILES = (NAME, "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")


def check_tokenizer(files: Sequence[FileEntry], document: dict[str, Any], base: BaseModel) -> None:
    """Check the files' digests, and that `tokenizer.json` has token ids of the base.

    Args:
        files: the archive's files.
        document: the content of `tokenizer.json`.
        base: the base model.

    Raises:
        IntegrityError: a file is not the base's, or the vocabulary is empty or too large.
    """
    for entry in files:
        own = base.files.get(entry.path)
        if entry.path in FILES and (own is None or own.sha256 != entry.sha256):
            expected = (
                f"the base model's, sha256 {own.sha256}"
                if own
                else "no such file, as in the base model"
            )
            raise refused(entry.path, expected, f"sha256 {entry.sha256}")
    ids = list(_ids(document))
    if not ids:
        raise refused(NAME, "a vocabulary", "no token")
    if not 0 <= min(ids) <= max(ids) < base.vocabulary:
        expected = f"token ids from 0 to {base.vocabulary - 1}, the base model's"
        raise refused(NAME, expected, f"ids from {min(ids)} to {max(ids)}")


def _ids(document: dict[str, Any]) -> Iterator[int]:
    """Yield the ids of the model's vocabulary and of the added tokens."""
    model = document.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict):
        raise refused(NAME, "a model with a vocabulary", type(vocabulary).__name__)
    added = document.get("added_tokens") or []
    extra = [token.get("id") if isinstance(token, dict) else None for token in added]
    for number in (*vocabulary.values(), *extra):
        if not isinstance(number, int) or isinstance(number, bool):
            raise refused(NAME, "whole numbers as token ids", repr(number)[:60])
        yield number
