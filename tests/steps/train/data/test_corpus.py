"""Any process reads the tokenized corpus back from disk; an incomplete corpus is refused."""

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest

from steps.governance.errors import IntegrityError, UsageError
from steps.train.data import corpus, curated_rows, industries
from steps.train.data.chat_template import Chat
from steps.train.data.corpus import Corpus
from steps.train.data.truncation import COMPLETION_TOO_LONG, Lengths, fit
from steps.train.stopping import Stopped, StopSignal
from tests.steps.train.support.curated_table import ARN, rows

REPOSITORY = Path(__file__).resolve().parents[4]


def batch(examples: list[dict[str, object]]) -> pa.RecordBatch:
    fields = [
        (name, pa.int32() if name == "year" else pa.string())
        for name in curated_rows.Example._fields
    ]
    return pa.RecordBatch.from_pylist(examples, schema=pa.schema(fields))


def build(base: Path, folder: Path, *batches: pa.RecordBatch) -> Corpus:
    return corpus.build(iter(batches), Chat(base), folder, row_tokens=256, seed=17)


@pytest.fixture
def built(tiny_model: Path, tmp_path: Path) -> Corpus:
    examples = rows(ARN)
    return build(tiny_model, tmp_path / "corpus", batch(examples[:7]), batch(examples[7:]))


def test_documents_are_read_as_they_were_tokenized_with_year_group_and_id(
    built: Corpus, tiny_model: Path
) -> None:
    examples = curated_rows.examples(batch(rows(ARN)))
    expected = fit(
        Chat(tiny_model), [each for each in examples if each.split == "train"], 256, Lengths()
    )
    assert list(built.train.documents) == expected
    assert (expected[0].year, expected[0].group, expected[0].example_id) == (
        2000,
        "manufacturing",
        "x0",
    )
    assert {document.group for document in expected} == {
        "manufacturing",
        "finance",
        "services",
        industries.UNKNOWN,
    }


def test_rows_hold_every_document_once_and_no_more_tokens_than_fit(built: Corpus) -> None:
    packed = list(built.train.rows)
    assert len(packed) == len(built.train.rows) < len(built.train.documents) == 24
    assert all(0 < sum(map(len, row)) <= 256 for row in packed)
    assert sorted(document.example_id for document in chain.from_iterable(packed)) == sorted(
        f"x{i}" for i in range(24)
    )


def test_rows_and_documents_are_sequences(built: Corpus) -> None:
    packed = built.train.rows
    assert packed[-1] == packed[len(packed) - 1] == packed[-1:][0]
    assert built.train.documents[2:4] == [built.train.documents[2], built.train.documents[3]]
    for sequence in (packed, built.train.documents):
        with pytest.raises(IndexError):
            sequence[len(sequence)]


def test_a_document_without_a_year_has_none(tiny_model: Path, tmp_path: Path) -> None:
    examples = [row | {"year": None} for row in rows(ARN)]
    assert build(tiny_model, tmp_path / "corpus", batch(examples)).train.documents[0].year is None


def test_another_process_opens_the_same_corpus_and_needs_no_torch(
    built: Corpus, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from steps.train.data import corpus;"
        "c = corpus.open(Path(sys.argv[1]));"
        "rows = [[d.example_id for d in row] for row in c.train.rows];"
        "print(rows, c.system, c.eval.lengths.record(), 'torch' in sys.modules, sep='|')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "corpus")]
    output = subprocess.check_output(
        command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, text=True
    ).strip()
    ids = [[document.example_id for document in row] for row in built.train.rows]
    assert output == f"{ids}|You are an analyst.|{built.eval.lengths.record()}|False"


def test_rows_survive_being_sent_to_a_worker(built: Corpus) -> None:
    sent = pickle.loads(pickle.dumps(built.train.rows))  # noqa: S301 - our own bytes
    assert list(sent) == list(built.train.rows)


def test_the_same_examples_in_other_portions_give_the_same_corpus(
    built: Corpus, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_TEXT_BYTES", 1000)
    assert max(map(len, corpus._portions([batch(rows(ARN))]))) < 5
    again = build(tiny_model, tmp_path / "again", batch(rows(ARN)))
    assert list(again.train.rows) == list(built.train.rows)
    assert again.train.lengths == built.train.lengths


@pytest.mark.parametrize(
    ("change", "system"),
    [
        ({}, "You are an analyst."),
        ({3: "Another."}, ""),
        ({29: "Another."}, "You are an analyst."),  # an evaluation example, not trained on
    ],
)
def test_the_system_message_is_known_if_all_training_examples_share_it(
    tiny_model: Path, tmp_path: Path, change: dict[int, str], system: str
) -> None:
    examples = [row | {"system": change.get(i, row["system"])} for i, row in enumerate(rows(ARN))]
    assert (
        build(tiny_model, tmp_path / "corpus", batch(examples[:2]), batch(examples[2:])).system
        == system
    )


def failing(*batches: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    yield from batches
    raise IntegrityError("the last file was altered")


def test_a_corpus_whose_last_file_was_refused_is_no_corpus(
    tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(IntegrityError, match="the last file was altered"):
        corpus.build(
            failing(batch(rows(ARN))),
            Chat(tiny_model),
            tmp_path / "corpus",
            row_tokens=256,
            seed=17,
        )
    with pytest.raises(IntegrityError, match=r"corpus holds no complete corpus\n"):
        corpus.open(tmp_path / "corpus")


def test_sigterm_ends_the_reading_and_leaves_no_corpus(tiny_model: Path, tmp_path: Path) -> None:
    stop = StopSignal()

    def stopping() -> Iterator[pa.RecordBatch]:
        yield batch(rows(ARN))
        stop.request()
        yield batch(rows(ARN))

    with pytest.raises(Stopped):
        corpus.build(
            stop.during(stopping()), Chat(tiny_model), tmp_path / "corpus", row_tokens=256, seed=17
        )
    assert not (tmp_path / "corpus" / "corpus.json").exists()


@pytest.mark.parametrize("name", ["tokens.bin", "documents.bin"])
def test_a_store_that_was_cut_short_is_refused(built: Corpus, tmp_path: Path, name: str) -> None:
    path = tmp_path / "corpus" / "train" / name
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(IntegrityError, match=r"token store in .* is damaged"):
        corpus.open(tmp_path / "corpus")


def test_a_store_that_is_cut_short_while_it_is_read_is_refused(
    built: Corpus, tmp_path: Path
) -> None:
    path = tmp_path / "corpus" / "train" / "tokens.bin"
    os.truncate(path, path.stat().st_size - 5)
    with pytest.raises(IntegrityError, match="cut short while it was read"):
        built.train.documents[23]


def test_an_example_id_that_prepare_never_makes_is_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    examples = [row | {"example_id": "x" * 65} for row in rows(ARN)]
    with pytest.raises(
        IntegrityError,
        match=r"an example id of the curated table is too long\n.*64 bytes\n.*65 bytes",
    ):
        build(tiny_model, tmp_path / "corpus", batch(examples))


def test_a_split_without_examples_is_the_users_fault(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"the eval split has no usable example\n.*\n  got       0 examples"
    ):
        build(tiny_model, tmp_path / "corpus", batch(rows(ARN, held_out=0)))
    assert not (tmp_path / "corpus" / "corpus.json").exists()


def test_examples_that_are_all_longer_than_a_row_are_the_users_fault(
    tiny_model: Path, tmp_path: Path
) -> None:
    examples = [row | {"completion": "risk " * 400} for row in rows(ARN)]
    with pytest.raises(UsageError) as refused:
        build(tiny_model, tmp_path / "corpus", batch(examples))
    assert "the train split has no usable example" in str(refused.value)
    assert re.search(r"24 examples, the longest of \d{3,} tokens", str(refused.value))
    assert f"{{'{COMPLETION_TOO_LONG}': 24}}" in str(refused.value)
    assert "raise SequenceLength" in str(refused.value)
    assert not (tmp_path / "corpus" / "corpus.json").exists()


@pytest.mark.parametrize(
    ("sic", "division"),
    [
        ("0100", "agriculture"), ("1000", "mining"), ("1500", "construction"),
        ("2000", "manufacturing"), ("3999", "manufacturing"),
        ("4011", "transportation_communications_utilities"), ("5000", "wholesale"),
        ("5200", "retail"), ("6022", "finance"), ("7372", "services"),
        ("9721", "public_administration"), ("9995", "unknown"), ("1800", "unknown"),
        ("0000", "unknown"), ("357", "unknown"), ("", "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_a_companys_group_is_the_division_of_its_industry_code(
    sic: str | None, division: str
) -> None:
    assert industries.division(sic) == division
