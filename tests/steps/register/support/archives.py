"""Model archives, good and bad. Safetensors files are made byte by byte."""

import gzip
import hashlib
import io
import json
import tarfile

from steps.governance.documents.document import FileEntry

LORA = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_{}.weight"


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    """A safetensors file of (dtype, shape, bytes)."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def base_files() -> dict[str, bytes]:
    """The files of the smallest base model that `adapter_files` fits, without its weights."""
    sizes = {
        "vocab_size": 8,
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 4,
    }
    vocabulary = {"model": {"type": "BPE", "vocab": {"<unk>": 0, "a": 1}, "merges": []}}
    return {
        "config.json": json.dumps({"text_config": sizes}).encode(),
        "tokenizer.json": json.dumps({"version": "1.0"} | vocabulary).encode(),
        "tokenizer_config.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
    }


def adapter_files() -> dict[str, bytes]:
    """The smallest set of files of a good archive, without its manifest."""
    weights = {
        LORA.format("A"): ("F32", [4, 8], bytes(128)),
        LORA.format("B"): ("F32", [8, 4], bytes(128)),
    }
    base = base_files()
    return {
        "adapter_model.safetensors": safetensors(weights),
        "adapter_config.json": configuration(),
        "tokenizer.json": base["tokenizer.json"],
        "tokenizer_config.json": base["tokenizer_config.json"],
        "chat_template.jinja": base["chat_template.jinja"],
        "report.json": (
            b'{"schema": "governed-finetune/training-report/1", "system": "You read filings."}'
        ),
        "README.md": b"# adapter\n",
    }


def configuration(**changed: object) -> bytes:
    """adapter_config.json of the good archive, with some fields changed."""
    fields = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": r".*language_model.*\.q_proj",
        "auto_mapping": None,
    }
    return json.dumps(fields | changed).encode()


def entries(files: dict[str, bytes]) -> list[FileEntry]:
    """The entries of these files in Train's manifest."""
    return [
        FileEntry(path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(files.items())
    ]


def packed(files: dict[str, bytes], *, form: int = tarfile.PAX_FORMAT, mtime: float = 1.5) -> bytes:
    """The files as tar.gz, as Python's tarfile writes them (a float mtime makes PAX headers)."""
    return gzip.compress(tar(files, form=form, mtime=mtime))


def tar(files: dict[str, bytes], *, form: int = tarfile.PAX_FORMAT, mtime: float = 1.5) -> bytes:
    """The files as an uncompressed tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), mtime
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
