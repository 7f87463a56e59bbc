"""The registered model. mlflow stores this file in the model version and runs it to load the model.

    model = mlflow.pyfunc.load_model("models:/edgar.models.risk_analyst@challenger")
    model.predict(pandas.DataFrame({"prompt": ["…"]}), params={"max_new_tokens": 64})

Either every row is answered or none. All rows are checked and tokenized before the first token is
generated, and one error names every row that cannot be answered: a null or empty prompt, another
type than text, a prompt as long as the context. Equal prompts are computed once. `max_new_tokens`
is at least 1, or null for the default; an answer also ends at the end of the model's context.

mlflow enforces the signature first: it drops other columns and unknown parameters with a warning
that names them. It turns a dictionary of lists of texts into one row of lists, which `rows_of`
reverses.

The version holds the adapter, its tokenizer and `base_model.json`. The base model's files are
fetched from S3 with the caller's AWS credentials, compared with their sha256, and kept in a cache
($GOVERNED_FINETUNE_CACHE, else ~/.cache/governed-finetune). FP8 weights are decoded to bfloat16.
Decoding is greedy. Rows are answered together, up to 32 at a time, shorter ones padded on the left.
So the same rows give the same completions on equal hardware; in bfloat16, where two tokens are
nearly as likely, a row's completion may depend on the rows next to it.

Before anything else, every file of the version is compared with `SHA256SUMS`, which Register wrote
into it, and the adapter's files with the statement in `model.sig`. A version that differs is not
loaded. Whoever can rewrite the bucket could rewrite both, so with $GOVERNED_FINETUNE_PUBLIC_KEY
(base64 of the DER, as in conf) the statement's signature by Register's key is verified too. The
record itself is not read: that is the auditor's work.

Nothing of this repository is imported: the file must work where only its requirements are
installed.
"""

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow.models
import mlflow.pyfunc
import pandas
from mlflow.exceptions import MlflowException

MAX_NEW_TOKENS = 128  # the default of predict's parameter of that name
SUMS = "SHA256SUMS"  # in the version's folder, as `sha256sum -c` reads it
_PUBLIC_KEY = "GOVERNED_FINETUNE_PUBLIC_KEY"
_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]{1,255})")
# Rows that are generated together, and tokens of their prompts with the padding: with the 3B model
# the cache of 16,384 tokens takes 1.8 GB.
_BATCH_ROWS, _BATCH_TOKENS = 32, 16384
_NAMED_FAULTS = 100  # rows that one error describes; it counts the others
_CONTROL = ("<s>", "</s>", "<pad>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
# the class of mlflow's own refusals, which a scoring server answers with 400
_refused = MlflowException.invalid_parameter_value


class MinistralWithAdapter(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Ministral-3 with a LoRA adapter: prompts in, completions out."""

    # The version has a saved signature: mlflow must not derive one from type hints or ask for them.
    _skip_type_hint_validation = True

    def load_context(self, context: Any) -> None:
        """Verify the version, fetch and verify the base model, and put the adapter on top.

        Raises:
            ValueError: the version or the base model is not as it was registered.
        """
        adapter = Path(context.artifacts["adapter"])
        verify_version(adapter.parents[1], adapter, signature=Path(context.artifacts["signature"]))
        base = fetch_base_model(json.loads(Path(context.artifacts["base_model"]).read_bytes()))
        self._model = load_model(base, adapter)
        self._positions = int(self._model.config.get_text_config().max_position_embeddings)
        self._prompts = PromptForm(adapter)

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Return one completion per row of `prompt` (and `system`, where given and not null).

        Raises:
            MlflowException: INVALID_PARAMETER_VALUE; nothing was generated, and the message names
                every bad row.
        """
        limit = token_limit({} if params is None else params)
        questions = self._questions(rows_of(model_input))
        answers: dict[tuple[int, ...], str] = {}
        for batch, most in batches(set(questions), limit=limit, positions=self._positions):
            answers.update(zip(batch, self._complete(batch, most), strict=True))
        return [answers[ids] for ids in questions]

    def _questions(self, rows: list[Any]) -> list[tuple[int, ...]]:
        questions, faults = [], []
        for number, row in enumerate(rows):
            try:
                questions.append(self._question(row))
            except ValueError as fault:
                faults.append(f"row {number}: {fault}")
        if faults:
            more = "; …" if len(faults) > _NAMED_FAULTS else ""
            raise _refused(
                f"{len(faults)} of {len(rows)} rows cannot be answered, so no row was answered; "
                "correct them or leave them out. "
                f"Counted from 0: {'; '.join(faults[:_NAMED_FAULTS])}{more}."
            )
        return questions

    def _question(self, row: Any) -> tuple[int, ...]:
        if not isinstance(row, Mapping):
            got = type(row).__name__
            raise ValueError(f"expected a dictionary, got {got}")  # noqa: TRY004 - a row's fault
        prompt, system = _text(row, "prompt"), _text(row, "system")
        if prompt is None or not prompt.strip():
            got = "null" if prompt is None else "an empty one"
            raise ValueError(f"prompt: expected a text, got {got}")
        ids = tuple(self._prompts.encode(prompt, system))
        if len(ids) >= self._positions:
            limit = f"fewer than the context's {self._positions} tokens"
            raise ValueError(f"prompt: expected {limit}, got {len(ids)}")
        return ids

    def _complete(self, batch: list[tuple[int, ...]], max_new_tokens: int) -> list[str]:
        import torch

        longest, pad = len(batch[-1]), self._prompts.control["<pad>"]
        padding = [longest - len(ids) for ids in batch]
        rows = [[pad] * before + list(ids) for before, ids in zip(padding, batch, strict=True)]
        questions = torch.tensor(rows, device=self._model.device)  # (rows, tokens)
        before = torch.tensor(padding, device=self._model.device)[:, None]
        with torch.inference_mode():
            answers = self._model.generate(
                input_ids=questions,
                attention_mask=(torch.arange(longest, device=before.device) >= before).long(),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=self._prompts.control["</s>"],
                pad_token_id=pad,
            )
        return [self._prompts.decode(answer) for answer in answers[:, longest:].tolist()]


def batches(
    questions: Iterable[tuple[int, ...]], *, limit: int, positions: int
) -> Iterator[tuple[list[tuple[int, ...]], int]]:
    """Yield prompts that are answered together, shortest first, with the new tokens they may have.

    A prompt near the end of the context may have fewer than `limit`, so only prompts with the same
    number are together.
    """
    pending: list[tuple[int, ...]] = []
    most = limit
    for ids in sorted(questions, key=lambda ids: (len(ids), ids)):
        allowed = min(limit, positions - len(ids))
        full = len(pending) == _BATCH_ROWS or (len(pending) + 1) * len(ids) > _BATCH_TOKENS
        if pending and (full or allowed != most):
            yield pending, most
            pending = []
        most = allowed
        pending.append(ids)
    if pending:
        yield pending, most


def token_limit(params: Any) -> int:
    """Return the largest number of new tokens; other parameters and values are refused."""
    if not isinstance(params, Mapping):
        raise _refused(f"params: expected a dictionary, got {type(params).__name__}.")
    if unknown := params.keys() - {"max_new_tokens"}:
        got = sorted(map(str, unknown))
        raise _refused(f"expected no parameter but max_new_tokens, got {got}.")
    limit = params.get("max_new_tokens")
    if limit is None:
        return MAX_NEW_TOKENS
    if isinstance(limit, bool) or not isinstance(limit, Integral) or limit < 1:
        expected = f"at least 1, or null for {MAX_NEW_TOKENS}"
        raise _refused(f"max_new_tokens: expected {expected}, got {limit!r}.")
    return int(limit)


def rows_of(model_input: Any) -> list[Any]:
    """Return the rows of a data frame, a dictionary of columns, or a list of dictionaries.

    The rows are not checked yet. A single row of lists is a dictionary of columns: its lists must
    have one length, and a value that is not a list applies to each row.

    Raises:
        MlflowException: INVALID_PARAMETER_VALUE; the column `prompt` is missing, a column occurs
        twice,
            or lists differ in length.
    """
    given = [model_input] if isinstance(model_input, Mapping) else model_input
    columns: list[Any] = []
    if isinstance(given, list):  # pandas would refuse surrogates, and a row that is None
        named = (name for row in given if isinstance(row, Mapping) for name in row)
        columns = list(dict.fromkeys(named))
    elif isinstance(given, pandas.DataFrame):
        columns = list(given.columns)
    read = sorted(column for column in columns if column in ("prompt", "system"))
    if read not in (["prompt"], ["prompt", "system"]):
        wanted = "expected a data frame with one column `prompt` and at most one `system`"
        raise _refused(f"{wanted}, got {type(given).__name__} {columns}.")
    rows: list[Any] = given if isinstance(given, list) else given[read].to_dict("records")
    row = rows[0] if len(rows) == 1 else {}
    lists = {name: cells for name in read if isinstance(cells := row.get(name), list)}
    return _transposed(row, lists) if lists else rows


def _transposed(row: Mapping[str, Any], lists: Mapping[str, list[Any]]) -> list[Any]:
    """Return one row for each position of the lists; the row's other values apply to all."""
    if len(lengths := {len(cells) for cells in lists.values()}) > 1:
        got = sorted(lengths)
        raise _refused(f"expected lists of one length in prompt and system, got lengths {got}.")
    columns = zip(*lists.values(), strict=True)
    return [{**row, **dict(zip(lists, cells, strict=True))} for cells in columns]


def _text(row: Mapping[str, Any], name: str) -> str | None:
    """Return the text of one cell, or None if it is null or absent. Errors do not repeat it."""
    value = row.get(name)
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(f"{name}: expected Unicode text, got half of a surrogate pair")
        return value
    if pandas.api.types.is_scalar(value) and pandas.isna(value):
        return None
    raise ValueError(f"{name}: expected a text, got {type(value).__name__}")


class PromptForm:
    """The prompt as in training. Control tokens are placed by id; no text can become one."""

    def __init__(self, adapter: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(adapter / "tokenizer.json"))
        found = {name: self._tokenizer.token_to_id(name) for name in _CONTROL}
        self.control = {name: number for name, number in found.items() if number is not None}
        if self.control != found:
            expected = f"the control tokens {', '.join(_CONTROL)}"
            raise ValueError(f"tokenizer.json: expected {expected}, got {found}")
        self._tokenizer.encode_special_tokens = True
        report = adapter / "report.json"
        # The system message of the training examples. It is always given, even if empty: the hub's
        # template would add a long default.
        document = json.loads(report.read_bytes()) if report.exists() else {}
        self._system = str(document.get("system", ""))

    def encode(self, prompt: str, system: str | None = None) -> list[int]:
        """Return the token ids up to where the answer begins."""
        control = self.control
        message = self._ids(self._system if system is None else system)
        return [
            *(control["<s>"], control["[SYSTEM_PROMPT]"], *message, control["[/SYSTEM_PROMPT]"]),
            *(control["[INST]"], *self._ids(prompt), control["[/INST]"]),
        ]

    def decode(self, ids: list[int]) -> str:
        """Return the text of ids, without control tokens."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def load_model(base: Path, adapter: Path) -> Any:
    """Load the base model in bfloat16 with the adapter on top, in evaluation mode."""
    import torch
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open
    from transformers import FineGrainedFP8Config, Mistral3ForConditionalGeneration

    quantized = "quantization_config" in json.loads((base / "config.json").read_bytes())
    model: Any = Mistral3ForConditionalGeneration.from_pretrained(
        base,
        dtype=torch.bfloat16,
        local_files_only=True,
        quantization_config=FineGrainedFP8Config(dequantize=True) if quantized else None,
    )
    # generate would warn for each row that the base model's own limit is overridden
    model.generation_config.max_length = None
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    tuned = PeftModel.from_pretrained(model, adapter).eval()
    # For tensors that fit no layer PEFT would only warn, and the answers would be the base model's.
    # With embedding layers PEFT would ask the hub for the base model.
    own = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    with safe_open(adapter / "adapter_model.safetensors", "pt") as weights:
        if set(weights.keys()) != set(own):
            what = "the adapter does not fit the base model"
            raise ValueError(f"{what}: its tensors are not those of its LoRA layers")
    return tuned


def verify_version(version: Path, adapter: Path, *, signature: Path) -> None:
    """Compare every file of a version with its digests, and the adapter with its signature.

    Files that mlflow adds to the folder as it loads it are not listed, and only in `artifacts` is
    such a file a fault.

    Raises:
        ValueError: a file was changed, removed or added; the message names each.
    """
    listed = _listed(version / SUMS)
    faults = [
        f"{name} {'was changed' if path.is_file() else 'is missing'}"
        for name in sorted(listed)
        if not (path := version / name).is_file() or _sha256(path) != listed[name]
    ]
    present = (path for path in (version / "artifacts").rglob("*") if not path.is_dir())
    names = {path.relative_to(version).as_posix() for path in present}
    faults += [f"{name} was added" for name in sorted(names - listed.keys())]
    folder = f"{adapter.relative_to(version).as_posix()}/"
    own = {
        name.removeprefix(folder): digest
        for name, digest in listed.items()
        if name.startswith(folder)
    }
    signed = {} if faults else _signed(signature)
    if not faults and own != signed:
        differing = sorted(n for n in own.keys() | signed if own.get(n) != signed.get(n))
        faults = [f"{name} is not the one in {signature.name}" for name in differing]
    if faults:
        raise _changed("; ".join(faults[:_NAMED_FAULTS]))


def _listed(path: Path) -> dict[str, str]:
    """Return the sha256 of each file by its path in the version."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise _changed(f"{SUMS} cannot be read") from None
    found = [_SUM.fullmatch(line) for line in lines]
    listed = {line[2]: line[1] for line in found if line}
    climbs = any({"", ".", ".."} & set(name.split("/")) for name in listed)
    if len(listed) != len(lines) or not lines or climbs:
        raise _changed(f"{SUMS} was changed")
    return listed


def _signed(path: Path) -> dict[str, str]:
    """Return the sha256 of each of the adapter's files from the statement in `model.sig`."""
    try:
        envelope = json.loads(path.read_bytes())["dsseEnvelope"]
        kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"])
        resources = json.loads(payload)["predicate"]["resources"]
        signed = {str(entry["name"]): str(entry["digest"]) for entry in resources}
        signatures = [base64.b64decode(entry["sig"]) for entry in envelope["signatures"]]
    except (ValueError, KeyError, TypeError):
        raise _changed(f"{path.name} is not a signature of the adapter") from None
    if key := os.environ.get(_PUBLIC_KEY):
        covered = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        _verify_signature(key, covered, signatures)
    return signed


def _verify_signature(key: str, covered: bytes, signatures: list[bytes]) -> None:
    """Check that one of the signatures over DSSE's bytes is by the pinned P-256 key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public = load_der_public_key(base64.b64decode(key, validate=True))
    except ValueError:
        public = None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        fault = f"{_PUBLIC_KEY}: expected base64 of the DER of a P-256 public key"
        raise ValueError(fault)  # noqa: TRY004 - the value is at fault
    for signature in signatures:
        try:
            public.verify(signature, covered, ec.ECDSA(SHA256()))
        except InvalidSignature:
            continue
        return
    raise _changed(f"model.sig is not signed by the key in {_PUBLIC_KEY}")


def _changed(what: str) -> ValueError:
    return ValueError(
        f"this model version is not loaded, since it is not as it was registered: {what}. "
        "Do not use it; find out who changed it (python -m steps.audit), and register it again."
    )


def fetch_base_model(description: dict[str, Any]) -> Path:
    """Return the folder with the base model's verified files; missing ones are downloaded."""
    identity = json.dumps(description, sort_keys=True).encode()
    default = Path.home() / ".cache" / "governed-finetune"
    cache = Path(os.environ.get("GOVERNED_FINETUNE_CACHE") or default)
    folder = cache / "base-models" / hashlib.sha256(identity).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    for entry in description["files"]:
        path = folder / entry["path"]
        if Path(entry["path"]).name != entry["path"]:
            raise ValueError(f"base_model.json: expected plain file names, got {entry['path']!r}")
        if not (path.exists() and _sha256(path) == entry["sha256"]):
            _download(f"{description['uri'].rstrip('/')}/{entry['path']}", path, entry["sha256"])
    return folder


def _download(uri: str, path: Path, expected: str) -> None:
    import boto3

    place = urlsplit(uri)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        partial = Path(scratch) / "partial"
        boto3.client("s3").download_file(place.netloc, place.path.lstrip("/"), str(partial))
        if (got := _sha256(partial)) != expected:
            what = f"{uri} is not the file of the training"
            raise ValueError(f"{what}: expected sha256 {expected}, got {got}")
        partial.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


mlflow.models.set_model(MinistralWithAdapter())
