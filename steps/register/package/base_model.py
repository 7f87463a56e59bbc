"""What the worker knows of the base model: its mirrored files, and the sizes of its linears.

    base = read(store, facts.training_job, facts.trained.base_model)
    base.description                    # becomes base_model.json of the version
    base.linears["model.language_model.layers.0.self_attn.q_proj"]      # (out, in)

Two small objects are read, `mirror.json` and `config.json`, never the weights. Train's manifest
has the sha256 of `mirror.json`, which has the sha256 of `config.json`: so the sizes are those that
the adapter was trained on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel as Lenient
from pydantic import Field, ValidationError

from steps.governance.documents import canonical
from steps.governance.documents.document import FileEntry, validated
from steps.governance.documents.manifest import BaseModelFiles, Mirror
from steps.governance.errors import IntegrityError

MAX_MIRROR_BYTES = 4 * 1024 * 1024
MAX_CONFIGURATION_BYTES = 1024 * 1024
CONFIGURATION = "config.json"
_LAYER = "model.language_model.layers.{}."  # transformers' name of a layer of Mistral3's text model
_MOST = 1 << 20  # for each size; Ministral-3's largest is its vocabulary, 131,072


class Store(Protocol):
    """Anything that reads small objects."""

    def read(self, uri: str, *, limit: int) -> bytes:
        """Return the bytes of an object; more than `limit` of them are refused."""


class _Text(Lenient):
    """The sizes of the language model in `config.json`; its other fields are ignored."""

    vocab_size: int = Field(ge=1, le=_MOST)
    hidden_size: int = Field(ge=1, le=_MOST)
    intermediate_size: int = Field(ge=1, le=_MOST)
    num_hidden_layers: int = Field(ge=1, le=1024)
    num_attention_heads: int = Field(ge=1, le=_MOST)
    num_key_value_heads: int = Field(ge=1, le=_MOST)
    head_dim: int = Field(ge=1, le=_MOST)


class _Configuration(Lenient):
    text_config: _Text


@dataclass(frozen=True)
class BaseModel:
    """The base model of a training, as its mirror and its configuration describe it.

    Attributes:
        description: name, revision, URI, and path, sha256 and size of each file.
        files: the mirror's entry of each file, by path.
        linears: (out, in) of each linear of the language model that can have an adapter, by name.
        vocabulary: number of token ids.
    """

    description: dict[str, Any]
    files: dict[str, FileEntry]
    linears: dict[str, tuple[int, int]]
    vocabulary: int


def read(store: Store, training_job: Mapping[str, Any], trained_on: BaseModelFiles) -> BaseModel:
    """Read and verify the description of the base model that a job was trained on.

    Args:
        store: reads the artifact bucket.
        training_job: SageMaker's answer; it names the channel of the base model.
        trained_on: the base model in Train's manifest.

    Raises:
        NotFound: the mirror or the configuration does not exist.
        IntegrityError: the mirror or the configuration is not the one of the training.
    """
    uri = base_model_uri(training_job)
    mirror = _mirror(
        store.read(f"{uri}/mirror.json", limit=MAX_MIRROR_BYTES), uri=uri, trained_on=trained_on
    )
    files = {entry.path: entry for entry in mirror.files}
    content = store.read(f"{uri}/{CONFIGURATION}", limit=MAX_CONFIGURATION_BYTES)
    text = _text(content, files.get(CONFIGURATION), uri)
    listed = [
        {"path": entry.path, "sha256": entry.sha256, "size": entry.size} for entry in mirror.files
    ]
    return BaseModel(
        {"files": listed, "name": mirror.name, "revision": mirror.revision, "uri": uri},
        files=files,
        linears=linears(
            hidden=text.hidden_size,
            ffn=text.intermediate_size,
            layers=text.num_hidden_layers,
            queries=text.num_attention_heads * text.head_dim,
            keys=text.num_key_value_heads * text.head_dim,
        ),
        vocabulary=text.vocab_size,
    )


def base_model_uri(training_job: Mapping[str, Any]) -> str:
    """Return the URI of the base model's files: the training job's one input channel."""
    channels = {entry["ChannelName"]: entry for entry in training_job["InputDataConfig"]}
    return str(channels["model"]["DataSource"]["S3DataSource"]["S3Uri"]).rstrip("/")


def _mirror(content: bytes, *, uri: str, trained_on: BaseModelFiles) -> Mirror:
    if canonical.sha256(content) != trained_on.mirror_sha256:
        raise IntegrityError(
            f"the mirror of the base model at {uri} was changed after training",
            expected=f"mirror.json with sha256 {trained_on.mirror_sha256}",
            got=canonical.sha256(content),
            do="put the mirrored files back, or train again on the mirror that is there now",
        )
    try:
        return validated(Mirror, content)
    except ValueError as error:
        raise IntegrityError(
            f"mirror.json at {uri} is malformed",
            expected="name, revision, files",
            got=str(error)[:500],
        ) from None


def _text(content: bytes, listed: FileEntry | None, uri: str) -> _Text:
    got = canonical.sha256(content)
    if listed is None or listed.sha256 != got:
        raise IntegrityError(
            f"{CONFIGURATION} of the base model at {uri} was changed after training",
            expected=f"sha256 {listed.sha256}" if listed else "an entry in mirror.json",
            got=got if listed else "none",
            do="put the mirrored files back, or train again on the mirror that is there now",
        )
    try:
        return _Configuration.model_validate_json(content).text_config
    except ValidationError as error:
        fault = error.errors()[0]
        raise IntegrityError(
            f"{CONFIGURATION} of the base model at {uri} does not describe a Ministral-3",
            expected="the sizes of its language model in text_config",
            got=f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}"[:300],
            do="mirror the model named in conf again",
        ) from None


def linears(
    *, hidden: int, ffn: int, layers: int, queries: int, keys: int
) -> dict[str, tuple[int, int]]:
    """Return (out, in) of the seven linears of each layer, by name.

    Names and sizes are those of transformers' Ministral-3; a test compares them.

    Args:
        hidden: width of the model.
        ffn: width of its feed-forward layers.
        layers: number of layers.
        queries: width of all heads together.
        keys: width of all heads of keys, and of values.
    """
    sizes = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
    }
    return {
        _LAYER.format(layer) + name: size for layer in range(layers) for name, size in sizes.items()
    }
