"""The training bench: its table follows from the measured numbers. No test measures speed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.training_bench import gpu_rows, rows, sections, table
from scripts.training_bench import runner as runner_module
from scripts.training_bench.__main__ import parse
from scripts.training_bench.cases import documents, fp8_modes, ours, reference_loss, serving
from scripts.training_bench.cases.meter import Meter
from scripts.training_bench.job import Job
from scripts.training_bench.runner import CaseFailed, Runner, run
from scripts.training_bench.table import Row, Target

pytestmark = pytest.mark.torch

PEER = "tokens per CPU-second: HF Trainer, padded"


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
    runner = Runner(results={**rounds, "trainer padded": [measured(100, 2, 32)] * 3})
    printed = {row.what: row for row in rows.cpu(runner)}
    assert (printed[PEER].ours, printed[PEER].peer, printed[PEER].ratio) == (200, 50, 4)
    assert printed["peak RSS: HF Trainer, padded"].ratio == 8 / 32


def test_a_row_that_was_not_measured_has_a_reason_and_no_number() -> None:
    runner = Runner(
        results={"ours": [measured(1, 1)]}, failures={"trainer padded": "trainer padded failed: no"}
    )
    row = next(row for row in rows.cpu(runner) if row.what == PEER)
    assert (row.ratio, row.met) == (None, None)
    assert row.cells()[1:] == ("", "", "", "≥ 2.4", "not measured here: trainer padded failed: no")
    assert {row.met for row in gpu_rows.missing("no CUDA device")} == {None}


def test_the_step_whose_losses_differ_most_is_compared() -> None:
    curves = {"ours": [2.0, 1.02, 1.0], "reference": [2.0, 1.0, 1.01]}
    row = rows.equal_loss(Runner(results={"it": [curves]}), "it")[0]
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


def test_quick_is_one_round_and_invalid_arguments_are_refused() -> None:
    assert parse(["--quick", "--rounds", "5"]).rounds == 1
    assert parse([]).only == sections.SECTIONS
    for argv in (
        ["--rounds", "0"],
        ["--only", "everything"],
        ["--into", "/absent/page.md"],
        ["--into", "/tmp"],
        ["--json", "/absent/numbers.json"],
    ):
        with pytest.raises(SystemExit) as refused:
            parse(argv)
        assert refused.value.code == 2


def test_a_failed_case_is_reported_with_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CaseFailed, match="ours to be failed: KeyError: 'ours to be'"):
        run(Job("ours to be", "/nowhere", 1), 1)
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


def test_documents_have_the_lengths_of_filings_and_are_reproducible() -> None:
    texts = documents.filings_like(4000, vocabulary=8192, seed=0)
    lengths = sorted(len(text.ids) for text in texts)
    completion = sum(len(text.ids) - text.prompt_tokens for text in texts) / sum(lengths)
    assert sum(lengths) / 4000 == pytest.approx(370, rel=0.05)
    assert (lengths[3600], lengths[-1]) == (pytest.approx(739, rel=0.05), documents.LONGEST)
    assert completion == pytest.approx(0.19, abs=0.01)
    assert documents.LONGEST <= 1024, "TRL truncates longer documents"
    few = documents.filings_like(40, vocabulary=8192, seed=0)
    assert sum(len(text.ids) for text in few) / 40 == pytest.approx(sum(lengths) / 4000, rel=0.02)
    assert few == documents.filings_like(40, vocabulary=8192, seed=0)


def test_padded_peers_waste_as_much_as_over_many_batches() -> None:
    def share(texts: list[documents.Text]) -> float:
        lengths = [len(text.ids) for text in texts]
        return sum(lengths) / sum(8 * max(lengths[at : at + 8]) for at in range(0, len(lengths), 8))

    usual = share(documents.filings_like(4000, vocabulary=64, seed=1))
    few = documents.filings_like(56, vocabulary=64, seed=0)
    ordered = documents.in_average_batches(few, 8, first=1, seed=0)
    assert sorted(text.ids for text in ordered) == sorted(text.ids for text in few)
    assert share(ordered[8:]) == pytest.approx(usual, abs=0.02)


def test_our_loop_runs_as_a_case_and_has_the_losses_of_the_unpacked_reference(
    tiny_model: Path,
) -> None:
    job = Job.from_json(Job("ours", str(tiny_model), 8, row_tokens=1024).to_json())
    numbers = ours.run(job, mode="auto")
    assert numbers["passes"] >= 1
    assert numbers["precision"]["effective"] == "storage"
    result = reference_loss.run(replace(job, row_tokens=512))
    assert len(result["ours"]) >= 2
    assert result["ours"] == pytest.approx(result["reference"], rel=1e-5)


def test_fp8_halves_the_weights_and_saves_no_more_for_backward(tiny_model: Path) -> None:
    job = Job("sizes", str(tiny_model), 1)
    storage, off = fp8_modes.sizes(job, mode="storage"), fp8_modes.sizes(job, mode="off")
    assert storage["linear_bytes"] <= 0.53 * off["linear_bytes"]
    assert storage["saved_bytes"] == off["saved_bytes"]


# peft 0.21
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_the_serving_case_measures_prompts_together_and_alone(tiny_model: Path) -> None:
    numbers = serving.run(Job("ours serving", str(tiny_model), 0))
    assert numbers["completions"] == serving.PROMPTS
    assert 0 < numbers["together_seconds"] < numbers["alone_seconds"]
    (row,) = rows.serving(Runner(results={"it": [numbers]}), "it")
    assert row.ratio == pytest.approx(numbers["alone_seconds"] / numbers["together_seconds"])


def test_a_case_that_the_time_does_not_reach_is_no_failure_and_gives_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[float] = []

    def run(job: Job, threads: int, *, limit: float) -> dict[str, Any]:
        limits.append(limit)
        now[0] += 50
        return measured(100, 1, 1)

    now = [1000.0]
    monkeypatch.setattr(runner_module, "run", run)
    monkeypatch.setattr(runner_module.time, "monotonic", lambda: now[0])
    runner = Runner(until=1090.0)
    runner.interleaved({name: Job(name, "m", 1) for name in ("a", "b", "c")}, 1)
    assert limits == [90.0, 40.0]
    assert runner.failures == {}
    with pytest.raises(CaseFailed, match="c was not run: the time was over"):
        runner.of("c")


def test_measured_rows_replace_their_lines_of_the_page_and_no_others(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n| one | | | | | no |\n| two | | | | | no |\n")
    one, two = Row("one", "MB", 2e7, 1e7), Row("two", "", missing="no CUDA device")
    table.write_into(page, [one, two], "an H200")
    lines = page.read_text().splitlines()
    assert lines[2] == "| one | 20 MB | 10 MB | 2 |  |  |"
    assert lines[3] == "| two | | | | | no |"
    assert lines[-1] == "Measured later (an H200): one."
    with pytest.raises(ValueError, match="no line of the row 'three'"):
        table.write_into(page, [Row("three", "", 1.0)], "")


def test_the_page_has_a_line_of_each_row_of_a_gpu() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bench-train.md").read_text()
    for row in gpu_rows.missing("no CUDA device"):
        (line,) = [each for each in page.splitlines() if each.startswith(f"| {row.what} ")]
        assert row.target is None or str(row.target) in line
