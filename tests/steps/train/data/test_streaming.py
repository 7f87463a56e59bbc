"""Reading, tokenizing and packing ten times as many examples takes no more memory."""

import random
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from pipeline.local.setup import tiny_tokenizer
from steps.governance.documents.manifest import Prepared
from tests.steps.train.support import read_in_a_process
from tests.steps.train.support.curated_table import ARN, prepared, rows

pytestmark = pytest.mark.torch

_EXAMPLES, _PER_FILE = 500, 250


def table(folder: Path, vocabulary: list[str], examples: int) -> Prepared:
    """Write a table of examples of 70 to 850 tokens; return its manifest."""
    draw = random.Random(5)  # noqa: S311 - texts, not secrets
    words = draw.choices(vocabulary, k=20_000)
    starts, counts = (
        draw.choices(range(low, high), k=examples) for low, high in ((0, 19_000), (50, 600))
    )
    texts = [
        " ".join(words[start : start + count]) for start, count in zip(starts, counts, strict=True)
    ]
    held_out = examples // 10
    every = [
        row | {"prompt": text}
        for row, text in zip(rows(ARN, examples - held_out, held_out), texts, strict=True)
    ]
    for start in range(0, examples, _PER_FILE):
        write_deltalake(
            folder,
            pa.Table.from_pylist(every[start : start + _PER_FILE]),
            mode="append",
            partition_by=["execution_id"],
            commit_properties=CommitProperties(custom_metadata={"execution_arn": ARN}),
        )
    return prepared(
        folder, ARN, examples // _PER_FILE - 1, train=examples - held_out, held_out=held_out
    )


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux reports peak memory in /proc"
)
def test_ten_times_the_examples_need_no_more_memory(tmp_path: Path, tiny_model: Path) -> None:
    words = tiny_tokenizer.WORDS.split()
    small, large = (
        read_in_a_process.measured(
            tmp_path / name, table(tmp_path / name, words, examples), tiny_model
        )
        for name, examples in (("small", _EXAMPLES), ("large", 10 * _EXAMPLES))
    )
    assert large["tokens"] > 9 * small["tokens"]
    assert large["peak_mib"] <= 1.2 * small["peak_mib"]
