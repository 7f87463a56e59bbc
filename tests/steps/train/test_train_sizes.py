"""Train at sizes beyond each bound: files, tokens, bytes and characters.

The tests reach these sizes by arithmetic or with sparse files.
"""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from deltalake import DeltaTable
from safetensors import safe_open

from steps.governance.documents.manifest import Prepared
from steps.register.package import artifact
from steps.train import __main__ as command
from steps.train.arguments import LORA_RANKS
from steps.train.data import token_store, verified_table
from steps.train.data.document import Document
from steps.train.export import safetensors_writer
from steps.train.paths import Paths
from steps.train.planning.shapes import Shape
from steps.train.tracking import mlflow_run
from tests.steps.train.support import curated_table

pytestmark = pytest.mark.torch

FILES = 1001


def many_files(folder: Path) -> Prepared:
    """Write one commit of `FILES` files with the same two rows, as small partitions leave them."""
    partition = folder / "execution_id=abcdefghijkl"
    partition.mkdir(parents=True)
    source = pa.Table.from_pylist(curated_table.rows(curated_table.ARN, 1, 1)).drop_columns(
        ["execution_id"]
    )
    pq.write_table(source, partition / "part-00000.parquet")
    content = (partition / "part-00000.parquet").read_bytes()
    for number in range(1, FILES):
        (partition / f"part-{number:05d}.parquet").write_bytes(content)
    actions = [
        {"commitInfo": {"execution_arn": curated_table.ARN}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": _metadata(source)},
        *({"add": _added(number, len(content))} for number in range(FILES)),
    ]
    (folder / "_delta_log").mkdir()
    (folder / "_delta_log" / f"{0:020d}.json").write_text("\n".join(map(json.dumps, actions)))
    return curated_table.prepared(folder, curated_table.ARN, 0, train=FILES, held_out=FILES)


def _metadata(source: pa.Table) -> dict[str, object]:
    """Return the `metaData` action of a table with the columns of `source` and execution_id."""
    fields = [
        {
            "name": name,
            "type": "integer" if name == "year" else "string",
            "nullable": True,
            "metadata": {},
        }
        for name in ("execution_id", *source.schema.names)
    ]
    return {
        "id": curated_table.TABLE_ID,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": ["execution_id"],
        "configuration": {},
    }


def _added(number: int, size: int) -> dict[str, object]:
    return {
        "path": f"execution_id=abcdefghijkl/part-{number:05d}.parquet",
        "partitionValues": {"execution_id": "abcdefghijkl"},
        "size": size,
        "modificationTime": 0,
        "dataChange": True,
    }


def test_a_manifest_of_more_files_than_a_listing_has_keys_is_read_file_by_file(
    tmp_path: Path,
) -> None:
    manifest = many_files(tmp_path / "table")
    assert len(manifest.files) == FILES
    assert Prepared.from_bytes(manifest.to_bytes(), origin="here") == manifest
    catalog = curated_table.LocalCatalog(tmp_path / "table")
    known = catalog.table(catalog._table.name)
    batches = verified_table.stream(
        manifest, known, catalog.read_access(known), execution_arn=curated_table.ARN
    )
    assert sum(batch.num_rows for batch in batches) == 2 * FILES


def test_a_log_of_more_than_a_thousand_commits_is_opened_at_the_manifests_version(
    tmp_path: Path,
) -> None:
    """One listing has a thousand keys. Other commits follow ours, and no checkpoint exists."""
    folder, ours = tmp_path / "table", 1001
    curated_table.commit(folder, curated_table.OTHER_ARN)
    log = folder / "_delta_log"
    first = [json.loads(line) for line in (log / f"{0:020d}.json").read_text().splitlines()]
    empty = json.dumps({"commitInfo": {"timestamp": 0, "operation": "WRITE"}})
    for version in range(1, ours):
        (log / f"{version:020d}.json").write_text(empty)
    curated_table.commit(folder, curated_table.ARN)
    assert DeltaTable(folder).version() == ours
    (log / f"{ours + 1:020d}.json").write_text(empty)
    manifest = curated_table.prepared(folder, curated_table.ARN, ours)
    catalog = curated_table.LocalCatalog(folder)
    known = catalog.table(catalog._table.name)
    batches = verified_table.stream(
        manifest, known, catalog.read_access(known), execution_arn=curated_table.ARN
    )
    assert sum(batch.num_rows for batch in batches) == 30
    assert len(first) >= 3


def test_tokens_past_four_billion_are_found_where_they_are(tmp_path: Path) -> None:
    """Three documents of 2³¹ - 1 tokens each before the one that is read; the file is sparse."""
    longest = 2**31 - 1
    fake = np.zeros(3, token_store._RECORD)
    fake["length"], fake["offset"] = longest, [0, longest, 2 * longest]
    with token_store.Writer(tmp_path / "store") as writer:
        writer._tokens.truncate(3 * longest * 4)
        writer._tokens.seek(3 * longest * 4)
        writer._records.write(fake.tobytes())
        writer._offset = 3 * longest
        writer.append([Document((5, 6, 7), 1, "x" * 24, 2021)])
    documents = token_store.Documents(tmp_path / "store")
    assert (documents[3].ids, documents[3].example_id) == ((5, 6, 7), "x" * 24)
    assert documents.lengths().sum(dtype=np.int64) == 3 * longest + 3


def test_a_tensor_past_two_and_four_gibibytes_has_its_place_in_the_file(tmp_path: Path) -> None:
    """safetensors reads it. The file is sparse: only the last tensor has bytes on disk."""
    shapes = {"embedding": (131_072, 16_385), "last": (2, 2)}
    (shard,) = safetensors_writer.plan(shapes)
    assert shard.size > 2**32
    with (tmp_path / shard.name).open("wb") as file:
        file.write(safetensors_writer._header(shard.shapes))
        file.truncate(shard.size)
        file.seek(-8, os.SEEK_END)
        file.write(
            torch.full((2, 2), 1.5, dtype=torch.bfloat16).view(torch.uint8).numpy().tobytes()
        )
    with safe_open(tmp_path / shard.name, "pt") as opened:
        assert opened.get_slice("embedding").get_shape() == [131_072, 16_385]
        assert opened.get_tensor("last").tolist() == [[1.5, 1.5], [1.5, 1.5]]
    two = safetensors_writer.plan({"a": (131_072, 16_385), "b": (131_072, 16_385)})
    safetensors_writer.write_index(tmp_path, two)
    assert len(two) == 2, "a file holds at most 5 GB"
    assert (
        json.loads((tmp_path / safetensors_writer.INDEX).read_text())["metadata"]["total_size"]
        == 2 * 2 * 131_072 * 16_385
    )


def test_the_largest_adapter_that_train_can_save_is_one_that_register_takes() -> None:
    """All linears of a 70B model at the highest rank, in float32, and the header of the file."""
    seventy = Shape(
        hidden=8192, ffn=28_672, layers=80, heads=64, kv_heads=8, head_width=128, vocabulary=131_072
    )
    largest = 4 * seventy.layers * seventy.adapter_weights(max(LORA_RANKS))
    bound = artifact.ALLOWED["adapter_model.safetensors"]
    assert 6.6e9 < largest + 2**20 <= bound < 8**11, (
        "eleven octal digits are what a plain tar header has for a size"
    )


def test_a_long_failure_keeps_its_beginning_and_its_end_within_what_sagemaker_shows(
    tmp_path: Path,
) -> None:
    paths = Paths(tmp_path)
    reason = "what happened " + "x" * 5000 + "\ud83d what to do"
    assert command._fail(paths, reason, 1) == 1
    failure = paths.failure.read_text(encoding="utf-8")
    assert failure.startswith("what happened xxx")
    assert failure.endswith(r"x\ud83d what to do")
    assert " … " in failure
    assert len(failure) <= 1024 - 60, "SageMaker adds `AlgorithmError: ` and the exit code"
    assert command.shown("short") == "short"


def test_a_batch_of_values_leaves_room_for_the_tags_that_go_with_it() -> None:
    """log-batch takes 1,000 values, tags and params together, 100 of them tags."""
    assert mlflow_run.MOST_POINTS + 100 <= 1000
