"""What scripts/bench-train prints follows from what it measured; how fast anything is stands in no test."""

import importlib.machinery
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from scripts.training_bench import gpu_rows, rows, runner as running, table
from scripts.training_bench.cases import documents, fp8_modes, ours, reference_loss
from scripts.training_bench.cases.meter import Meter
from scripts.training_bench.job import Job
from scripts.training_bench.table import Row, Target

pytestmark = pytest.mark.torch

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench-train"
PEER = "tokens per CPU-second: HF Trainer, padded"


@pytest.fixture(scope="module")
def bench_train() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("bench_train", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = dont_write
    return module


def measured(tokens: int, seconds: float, peak: int = 1) -> dict[str, object]:
    return {"tokens": tokens, "cpu_seconds": seconds, "peak_rss_bytes": peak, "real_share": 1.0}


@pytest.mark.parametrize(
    ("target", "met", "missed"),
    [
        (Target("at least", 2.4), 2.4, 2.39),
        (Target("at most", 0.5), 0.5, 0.51),
        (Target("within", 0.01), 0.991, 1.011),
    ],
)
def test_a_target_is_met_up_to_its_bound(target: Target, met: float, missed: float) -> None:
    assert Row("it", "tok/s", met * 8, 8, target).met is True
    assert Row("it", "tok/s", missed * 8, 8, target).met is False


def test_rates_and_peaks_are_medians_over_the_rounds() -> None:
    rounds = {"ours": [measured(900, 3, 7), measured(100, 1, 9), measured(1000, 5, 8)]}
    runner = running.Runner(results={**rounds, "trainer padded": [measured(100, 2, 32)] * 3})
    printed = {row.what: row for row in rows.cpu(runner)}
    assert (printed[PEER].ours, printed[PEER].peer, printed[PEER].ratio) == (200, 50, 4)
    assert printed["peak RSS: HF Trainer, padded"].ratio == 8 / 32


def test_what_was_not_measured_says_why_and_has_no_number() -> None:
    runner = running.Runner(
        results={"ours": [measured(1, 1)]}, failures={"trainer padded": "trainer padded failed: no"}
    )
    row = next(row for row in rows.cpu(runner) if row.what == PEER)
    assert (row.ratio, row.met) == (None, None)
    assert row.cells()[1:] == ("", "", "", "≥ 2.4", "not measured here: trainer padded failed: no")
    assert {row.met for row in gpu_rows.missing("no CUDA device")} == {None}


def test_the_furthest_step_of_a_curve_is_the_one_compared() -> None:
    curves = {"ours": [2.0, 1.02, 1.0], "reference": [2.0, 1.0, 1.01]}
    row = rows.equal_loss(running.Runner(results={"it": [curves]}), "it")[0]
    assert (row.ours, row.peer, row.met) == (1.02, 1.0, False)


def test_the_table_is_markdown_with_every_row() -> None:
    lines = table.rendered(
        [Row("a", "MB", 2e6, 4e6, Target("at most", 0.5)), Row("b", "", missing="no")]
    ).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "a",
        "2.00 MB",
        "4.00 MB",
        "0.5",
        "≤ 0.5",
        "yes",
    ]


def test_quick_is_one_round_and_nonsense_is_refused(bench_train: ModuleType) -> None:
    assert bench_train.parse(["--quick", "--rounds", "5"]).rounds == 1
    assert bench_train.parse([]).only == bench_train.sections.SECTIONS
    for argv in (["--rounds", "0"], ["--only", "everything"]):
        with pytest.raises(SystemExit) as refused:
            bench_train.parse(argv)
        assert refused.value.code == 2


def test_a_case_that_fails_is_told_with_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(running.CaseFailed, match="ours to be failed: KeyError: 'ours to be'"):
        running.run(Job("ours to be", "/nowhere", 1), 1)
    assert "Traceback" in capsys.readouterr().err


def test_the_meter_counts_real_tokens_after_the_warm_up() -> None:
    class Padded(torch.nn.Module):
        def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
            return inputs["input_ids"]

    meter, model = Meter("cpu", warm_up=1), Padded()
    meter.watch(model)
    ids = torch.ones(2, 4)
    for mask in (None, None, torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])):
        model(input_ids=ids, **({} if mask is None else {"attention_mask": mask}))
    model.eval()(input_ids=ids)
    meter.step_ended()
    assert {name: meter.read()[name] for name in ("passes", "tokens", "real_share")} == {
        "passes": 2,
        "tokens": 13,
        "real_share": 13 / 16,
    }


def test_documents_are_as_long_as_filings_give_and_always_the_same() -> None:
    texts = documents.filings_like(4000, vocabulary=8192, seed=0)
    lengths = sorted(len(text.ids) for text in texts)
    completion = sum(len(text.ids) - text.prompt_tokens for text in texts) / sum(lengths)
    assert sum(lengths) / 4000 == pytest.approx(370, rel=0.05)
    assert (lengths[3600], lengths[-1]) == (pytest.approx(739, rel=0.05), documents.LONGEST)
    assert completion == pytest.approx(0.19, abs=0.01)
    few = documents.filings_like(40, vocabulary=8192, seed=0)
    assert sum(len(text.ids) for text in few) / 40 == pytest.approx(sum(lengths) / 4000, rel=0.02)
    assert few == documents.filings_like(40, vocabulary=8192, seed=0)


def test_padded_peers_waste_what_they_would_over_many_batches() -> None:
    def share(texts: list[documents.Text]) -> float:
        lengths = [len(text.ids) for text in texts]
        return sum(lengths) / sum(8 * max(lengths[at : at + 8]) for at in range(0, len(lengths), 8))

    usual = share(documents.filings_like(4000, vocabulary=64, seed=1))
    few = documents.filings_like(56, vocabulary=64, seed=0)
    ordered = documents.in_average_batches(few, 8, first=1, seed=0)
    assert sorted(text.ids for text in ordered) == sorted(text.ids for text in few)
    assert share(ordered[8:]) == pytest.approx(usual, abs=0.02)


def test_our_loop_runs_as_a_case_and_equals_the_unpacked_reference(tiny_model: Path) -> None:
    job = Job.from_json(Job("ours", str(tiny_model), 8, row_tokens=1024).to_json())
    numbers = ours.run(job, mode="auto")
    assert numbers["passes"] >= 1
    assert numbers["precision"]["effective"] == "storage"
    result = reference_loss.run(replace(job, row_tokens=512))
    assert len(result["ours"]) >= 2
    assert result["ours"] == pytest.approx(result["reference"], rel=1e-5)


def test_fp8_saves_bytes_of_weights_and_none_for_backward(tiny_model: Path) -> None:
    job = Job("sizes", str(tiny_model), 1)
    storage, off = fp8_modes.sizes(job, mode="storage"), fp8_modes.sizes(job, mode="off")
    assert storage["linear_bytes"] <= 0.53 * off["linear_bytes"]
    assert storage["saved_bytes"] == off["saved_bytes"]
