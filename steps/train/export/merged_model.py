"""The whole tuned model in bfloat16, for servers without adapters (MergedExport bfloat16).

    merged_model.require_possible(arguments, paths)      # before training
    with merged_model.exported(paths, adapters, probe=probe, stop=stop) as export:
        with merged_model.published(export, paths.merged, trained): …

Each weight is decoded to float32, its adapter's product is added in float32, and the sum is rounded
once to bfloat16: W = e4m3 * scale + alpha / r * B @ A. The tensors are copied one by one from the
base's files to the export's, under the same names; vision tower and projector are unchanged.

transformers' `save_pretrained` is not used. After loading an FP8 model it writes every matrix as
e4m3 again, with a configuration without quantization, and a model loaded from that is noise (a test
proves it).
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from steps.governance import full_disk
from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import Trained
from steps.governance.errors import IntegrityError, UsageError
from steps.train.arguments import Arguments
from steps.train.export import model_folder, safetensors_writer
from steps.train.model import base_weights, fp8_linear, logit_probe, lora
from steps.train.paths import LARGER_VOLUME, Paths
from steps.train.stopping import StopSignal

CONFIGURATION = "config.json"
# Copied from the base byte for byte if present: tokenizer, generation defaults, image processor
COPIED = (
    *model_folder.TOKENIZER_FILES,
    *("generation_config.json", "processor_config.json", "preprocessor_config.json", "tekken.json"),
)


@dataclass(frozen=True)
class Export:
    """A complete model in a staging folder, and its comparison with the tuned model."""

    folder: Path
    files: list[FileEntry]
    comparison: logit_probe.Comparison


def require_possible(arguments: Arguments, paths: Paths) -> None:
    """Refuse an export that cannot work before anything is trained.

    Raises:
        UsageError: the adapters are trained on other weights than those of the export.
        DiskFull: the volume has no room for the export.
    """
    if not arguments.exports_merged:
        return
    if arguments.fp8_mode == "nf4":
        raise UsageError(
            "MergedExport bfloat16 does not go with Fp8Mode nf4",
            expected="adapters trained on the weights that they are merged into",
            got="adapters of an NF4 model, which differs from the released FP8 one",
            do="use Fp8Mode auto or storage, or MergedExport none",
        )
    _require_room(
        safetensors_writer.plan(base_weights.shapes(paths.base_model)), paths.merged.parent
    )


@contextmanager
def exported(
    paths: Paths, adapters: Path, *, probe: logit_probe.Probe | None, stop: StopSignal
) -> Iterator[Export | None]:
    """Merge base and saved adapters into a temporary folder, and check the result.

    Yields:
        The export, or None without a probe. Its folder is removed at the end.

    Raises:
        IntegrityError: an adapter belongs to no weight, or the export's logits differ from those
            of the tuned model.
        DiskFull: the volume has no room for the export; nothing was written.
        Stopped: SIGTERM was received.
    """
    if probe is None:
        yield None
        return
    parent = paths.merged.parent.parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".merged-") as staging:
        folder = Path(staging) / paths.merged.name
        folder.mkdir()
        write(paths.base_model, adapters, folder, stop=stop)
        comparison = logit_probe.check(folder, probe)
        stop.check()
        yield Export(
            folder, model_folder.entries(folder, allowed=_allowed(paths.base_model)), comparison
        )


@contextmanager
def published(export: Export | None, folder: Path, trained: Trained) -> Iterator[None]:
    """Move the export to the folder that SageMaker archives, its manifest last.

    If the block fails, the folder is removed again.
    """
    if export is None:
        yield
        return
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier start of this job
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.move(export.folder, folder)
        model_folder.write_manifest(folder, trained)
        yield
    except BaseException:
        shutil.rmtree(folder)
        raise


def write(base_model: Path, adapters: Path, folder: Path, *, stop: StopSignal) -> None:
    """Write the merged model's files with one tensor in memory at a time.

    Raises:
        IntegrityError: an adapter belongs to no weight of the base.
        DiskFull: the volume has no room; nothing was written.
        Stopped: SIGTERM was received.
    """
    planned = safetensors_writer.plan(base_weights.shapes(base_model))
    _require_room(planned, folder)
    with lora.saved(adapters) as saved:
        tensors = _merged(base_model, saved, stop)
        for shard in planned:
            safetensors_writer.write(folder / shard.name, shard, tensors)
        if saved.left:
            raise IntegrityError(
                "adapters belong to no weight of the base model",
                expected="one weight for each adapter",
                got=", ".join(sorted(saved.left))[:300],
            )
    safetensors_writer.write_index(folder, planned)
    _write_configuration(base_model, folder)
    for name in COPIED:
        if (base_model / name).exists():
            shutil.copyfile(base_model / name, folder / name)


def merge(weight: base_weights.Weight, delta: Tensor | None) -> Tensor:
    """Add an adapter's product to a weight; round once to bfloat16.

    Args:
        weight: a weight of the base, e4m3 with a scale or bfloat16.
        delta: alpha / r * B @ A in float32, of the weight's shape; None without an adapter.
    """
    if weight.scale is None and delta is None:
        return weight.tensor.to(torch.bfloat16)
    if weight.scale is None:
        whole = weight.tensor.float()
    else:
        whole = fp8_linear.decode(weight.tensor.view(torch.uint8), torch.float32).mul_(
            weight.scale.float()
        )
    return whole.add_(0 if delta is None else delta).to(torch.bfloat16)


def _merged(
    base_model: Path, adapters: lora.SavedAdapters, stop: StopSignal
) -> Iterator[tuple[str, Tensor]]:
    for weight in base_weights.read(base_model, torch.device("cpu"), vision=True):
        stop.check()
        yield weight.stored_as, merge(weight, adapters.take(weight.name))


def _write_configuration(base_model: Path, folder: Path) -> None:
    """Write the base's configuration without its quantization."""
    content = json.loads((base_model / CONFIGURATION).read_bytes())
    content.pop("quantization_config", None)
    text = json.dumps(content | {"dtype": "bfloat16"}, indent=2, ensure_ascii=False)
    (folder / CONFIGURATION).write_text(text + "\n", encoding="utf-8")


def _allowed(base_model: Path) -> set[str]:
    """Return the names of the files that an export may have."""
    planned = safetensors_writer.plan(base_weights.shapes(base_model))
    return {*(shard.name for shard in planned), safetensors_writer.INDEX, CONFIGURATION, *COPIED}


def _require_room(planned: list[safetensors_writer.Shard], folder: Path) -> None:
    """Check that the volume of `folder` has room for the files. `folder` need not exist."""
    needed = sum(shard.size for shard in planned)
    free = shutil.disk_usage(
        next(place for place in (folder, *folder.parents) if place.exists())
    ).free
    if free < needed:
        raise full_disk.DiskFull(
            "this job's disk has no room for the merged model",
            expected=f"{needed} bytes free",
            got=f"{free}",
            do=f"{LARGER_VOLUME}, or use MergedExport none",
        )
