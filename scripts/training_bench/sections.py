"""The table's sections: which cases each needs, run, and its rows.

| section   | measures                                                   | issue 3 |
|-----------|------------------------------------------------------------|---------|
| cpu       | tokens per CPU-second and peak RSS of the small model      | 1       |
| loss      | the loss of ours against the unpacked reference's          | 1       |
| fp8       | bytes and loss curves of each FP8 mode against bfloat16    | 2       |
| gpu       | Ministral-3-3B's exact shapes, where a GPU is at hand      | 3       |
| memory    | 8,192 packed tokens of the 3B model in 24 GB               | 4       |
| streaming | peak RSS of tokenizing and packing ten times the data      | 8       |
"""

import subprocess
from dataclasses import dataclass

from scripts.training_bench import gpu_rows, rows
from scripts.training_bench.job import Job
from scripts.training_bench.runner import OURS, REPOSITORY, Runner
from scripts.training_bench.table import Row

SECTIONS = ("cpu", "loss", "fp8", "gpu", "memory", "streaming")
_DOCUMENTS, _QUICK_DOCUMENTS = (
    56,
    28,
)  # of 370 tokens: 5 and 3 packed rows, the first of which is warm-up
_GROUPED = 3  # times as many documents: its batches are 95 % real tokens then
_EXAMPLES, _QUICK_EXAMPLES = 2000, 500  # of some 280 tokens, and ten times as many
_GPU_DOCUMENTS, _LONG_ROW = 400, 8192


@dataclass(frozen=True)
class Extent:
    """How much to measure."""

    quick: bool
    rounds: int
    rehearse_gpu: bool

    @property
    def documents(self) -> int:
        """Of a timed case."""
        return _QUICK_DOCUMENTS if self.quick else _DOCUMENTS


def measure(section: str, runner: Runner, extent: Extent) -> list[Row]:
    """Run one section's cases; its rows."""
    match section:
        case "cpu":
            runner.interleaved(cpu_jobs(extent), extent.rounds)
            return rows.cpu(runner)
        case "loss":
            runner.interleaved(
                {
                    "ours unpacked": Job(
                        "ours unpacked", made("small"), 4 * extent.documents, row_tokens=1024
                    )
                },
                1,
            )
            return rows.equal_loss(runner, "ours unpacked")
        case "fp8":
            runner.together(
                {case: Job(case, made("tiny"), extent.documents) for case in rows.FP8_CASES}
            )
            return rows.fp8(runner)
        case "streaming":
            runner.interleaved(streaming_jobs(extent), 1)
            return rows.streaming(runner)
        case "memory":
            runner.interleaved(
                {"ours modelled": Job("ours modelled", made("small"), _QUICK_DOCUMENTS)}, 1
            )
            return rows.modelled(runner)
    return gpu(runner, extent)


def gpu(runner: Runner, extent: Extent) -> list[Row]:
    """The GPU's rows, its rehearsal's, or why there are none."""
    if not extent.rehearse_gpu and not cuda_is_here():
        return gpu_rows.missing("no CUDA device")
    runner.interleaved(gpu_jobs(extent), extent.rounds)
    return gpu_rows.measured(runner, rehearsal=extent.rehearse_gpu)


def cpu_jobs(extent: Extent) -> dict[str, Job]:
    """Everybody on the small model, on the CPU. Few documents do not form groups of one length, so that peer gets more."""
    return {
        case: Job(
            case, made("small"), extent.documents * (_GROUPED if case == "trainer grouped" else 1)
        )
        for case in rows.CPU_CASES
    }


def streaming_jobs(extent: Extent) -> dict[str, Job]:
    """Some examples, and ten times as many."""
    examples = _QUICK_EXAMPLES if extent.quick else _EXAMPLES
    return {
        label: Job("ours streaming", made("tiny"), examples * times)
        for label, times in ((rows.ONE_FOLD, 1), (rows.TEN_FOLD, 10))
    }


def gpu_jobs(extent: Extent) -> dict[str, Job]:
    """The 3B shapes on the GPU, or for a rehearsal tiny ones on the CPU, in the same dtype and modes."""
    if extent.rehearse_gpu:
        model, documents, device, row, long_row = made("tiny"), _QUICK_DOCUMENTS, "cpu", 2048, 4096
    else:
        model, documents, device, row, long_row = (
            made("ministral-3-3b"),
            _GPU_DOCUMENTS,
            "cuda",
            4096,
            _LONG_ROW,
        )
    jobs = {
        case: Job(case, model, documents, device=device, row_tokens=row, bfloat16=True)
        for case in gpu_rows.FAST_CASES
    }
    return jobs | {
        label: Job(
            case,
            model,
            documents,
            device=device,
            row_tokens=long_row,
            bfloat16=True,
            recompute=True,
        )
        for label, case in gpu_rows.LONG_CASES.items()
    }


def made(shape: str) -> str:
    """The folder of the model of that shape, made once."""
    folder = REPOSITORY / "build" / "bench-train" / shape
    if not (folder / "mirror.json").exists():
        module = "pipeline.local.setup.tiny_model"
        command = [str(OURS), "-m", module, "--shape", shape, "--output", str(folder)]
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return str(folder)


def cuda_is_here() -> bool:
    """Asked in another process: this one must stay small, because a child's peak RSS begins with its parent's."""
    asked = [str(OURS), "-c", "import torch; print(torch.cuda.is_available())"]
    return (
        subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "True"
    )
