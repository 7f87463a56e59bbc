"""The sections of the table: which cases each of them runs, and its rows.

| section   | measures                                                |
|-----------|---------------------------------------------------------|
| cpu       | tokens per CPU-second and peak RSS of the small model   |
| loss      | our loss against the unpacked reference's               |
| fp8       | bytes and loss curves of each FP8 mode against bfloat16 |
| gpu       | Ministral-3-3B's exact shapes, if there is a GPU        |
| memory    | 8,192 packed tokens of the 3B model in 24 GB            |
| streaming | peak RSS of tokenizing and packing ten times the data   |
| serving   | completions of a registered model, together and alone   |
"""

import subprocess
from dataclasses import dataclass

from scripts.training_bench import gpu_rows, rows
from scripts.training_bench.job import Job
from scripts.training_bench.runner import OURS, REPOSITORY, Runner
from scripts.training_bench.table import Row

SECTIONS = ("cpu", "loss", "fp8", "gpu", "memory", "streaming", "serving")
# Documents of 370 tokens on average: 5 and 3 packed rows, the first of which is the warm-up.
_DOCUMENTS, _QUICK_DOCUMENTS = 56, 28
_GROUPED = 3  # times as many documents for group_by_length, which needs many to form even batches
_EXAMPLES, _QUICK_EXAMPLES = 2000, 500  # of about 280 tokens; the second run has ten times as many
_GPU_DOCUMENTS, _LONG_ROW = 400, 8192


@dataclass(frozen=True)
class Extent:
    """How much to measure."""

    quick: bool
    rounds: int
    rehearse_gpu: bool

    @property
    def documents(self) -> int:
        """Documents of a timed case."""
        return _QUICK_DOCUMENTS if self.quick else _DOCUMENTS


def measure(section: str, runner: Runner, extent: Extent) -> list[Row]:
    """Run one section's cases and return its rows."""
    match section:
        case "cpu":
            runner.interleaved(cpu_jobs(extent), extent.rounds)
            return rows.cpu(runner)
        case "loss":
            case = "ours unpacked"
            job = Job(case, checkpoint("small"), 4 * extent.documents, row_tokens=1024)
            runner.interleaved({case: job}, 1)
            return rows.equal_loss(runner, case)
        case "fp8":
            tiny = checkpoint("tiny")
            runner.together({case: Job(case, tiny, extent.documents) for case in rows.FP8_CASES})
            return rows.fp8(runner)
        case "streaming":
            runner.interleaved(streaming_jobs(extent), 1)
            return rows.streaming(runner)
        case "serving":
            case = "ours serving"
            runner.interleaved({case: Job(case, checkpoint("small"), 0)}, extent.rounds)
            return rows.serving(runner, case)
        case "memory":
            case = "ours modelled"
            runner.interleaved({case: Job(case, checkpoint("small"), _QUICK_DOCUMENTS)}, 1)
            return rows.modelled(runner)
    return gpu(runner, extent)


def gpu(runner: Runner, extent: Extent) -> list[Row]:
    """Return the rows of the GPU or its rehearsal, or the reason why nothing was measured."""
    if not extent.rehearse_gpu and not cuda_is_available():
        return gpu_rows.missing("no CUDA device")
    runner.interleaved(gpu_jobs(extent), extent.rounds)
    return gpu_rows.measured(runner, rehearsal=extent.rehearse_gpu)


def cpu_jobs(extent: Extent) -> dict[str, Job]:
    """Return the jobs of ours and all peers on the small model, on the CPU.

    Few documents do not form groups of similar length, so `trainer grouped` gets more of them.
    """
    return {
        case: Job(
            case,
            checkpoint("small"),
            extent.documents * (_GROUPED if case == "trainer grouped" else 1),
        )
        for case in rows.CPU_CASES
    }


def streaming_jobs(extent: Extent) -> dict[str, Job]:
    """Return two jobs, the second of which has ten times as many examples."""
    examples = _QUICK_EXAMPLES if extent.quick else _EXAMPLES
    return {
        label: Job("ours streaming", checkpoint("tiny"), examples * times)
        for label, times in ((rows.ONE_FOLD, 1), (rows.TEN_FOLD, 10))
    }


def gpu_jobs(extent: Extent) -> dict[str, Job]:
    """Return the jobs of the 3B shapes on the GPU.

    For a rehearsal they have tiny shapes and run on the CPU, with the same dtype and modes.
    """
    rehearsal = extent.rehearse_gpu
    model = checkpoint("tiny" if rehearsal else "ministral-3-3b")
    documents = _QUICK_DOCUMENTS if rehearsal else _GPU_DOCUMENTS
    device = "cpu" if rehearsal else "cuda"
    row, long_row = (2048, 4096) if rehearsal else (4096, _LONG_ROW)
    fast = {
        case: Job(case, model, documents, device=device, row_tokens=row, bfloat16=True)
        for case in gpu_rows.FAST_CASES
    }
    long = {
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
    return fast | long


def checkpoint(shape: str) -> str:
    """Return the folder of the model of that shape, which is made once."""
    folder = REPOSITORY / "build" / "bench-train" / shape
    if not (folder / "mirror.json").exists():
        module = "pipeline.local.setup.tiny_model"
        command = [str(OURS), "-m", module, "--shape", shape, "--output", str(folder)]
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return str(folder)


def cuda_is_available() -> bool:
    """Return whether torch finds a CUDA device.

    Another process imports torch: this one must stay small, because the peak RSS of a child process
    begins with that of its parent.
    """
    command = [str(OURS), "-c", "import torch; print(torch.cuda.is_available())"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return printed.strip() == "True"
