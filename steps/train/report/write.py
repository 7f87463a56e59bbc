"""Write the report of a fine-tune: `report.json`, `report.html` and the model card `README.md`.

    write(folder, origin, tuned, comparison)

None of them quotes governed text. Examples are named by id, the answers are the models' own, and
the system message is that of Prepare's template.
"""

import importlib.metadata
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from steps.train.arguments import Arguments
from steps.train.export.manifest import Origin
from steps.train.fine_tuning.evaluation import Evaluation, Part
from steps.train.fine_tuning.held_out.completions import LEFT_OUT, Answered
from steps.train.fine_tuning.held_out.decisive import no_better
from steps.train.fine_tuning.task import Tuned
from steps.train.model.logit_probe import Comparison
from steps.train.report import findings, html_page, model_card
from steps.train.report.findings import Findings

_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "tokenizers",
    "deltalake",
    "pyarrow",
)
# Hyperparameters that name places, which the report has under `lineage`, or waits: they are not
# settings of the training
_NO_SETTINGS = (
    *("execution_arn", "curated_table", "prepare_manifest_uri", "train_evidence_uri", "base_model"),
    *("base_model_revision", "databricks_host", "databricks_secret_id", "region", "openlineage"),
    "waits",
)
_WORST_FAMILIES = 10  # that the report lists


def write(folder: Path, origin: Origin, tuned: Tuned, comparison: Comparison | None) -> None:
    """Write the three documents into `folder`."""
    found = compose(origin, tuned, comparison)
    content = found.model_dump_json(indent=2, by_alias=True)
    (folder / "report.json").write_text(content + "\n", encoding="utf-8")
    (folder / "report.html").write_text(html_page.render(found), encoding="utf-8")
    (folder / "README.md").write_text(model_card.render(found), encoding="utf-8")


def compose(origin: Origin, tuned: Tuned, comparison: Comparison | None) -> Findings:
    """Return the report as one document."""
    history, best = tuned.history, tuned.best.evaluation
    curve, together = findings.thinned(history.curve)
    evaluations, _ = findings.thinned(
        [{"step": m.step, "eval_loss": m.evaluation.loss} for m in history.evaluations]
    )
    return Findings(
        schema="governed-finetune/training-report/1",
        system=tuned.system,
        metrics=_metrics(tuned),
        by_year=_shares(tuned.before.by_year, best.by_year),
        by_group=_shares(tuned.before.by_group, best.by_group),
        by_family=_families(tuned.before.by_family, best.by_family),
        completions=_completions(tuned.answered) if tuned.answered else None,
        warnings=_warnings(tuned),
        data=_data(origin),
        lineage=_lineage(origin),
        live_metrics=origin.live_metrics,
        lengths={split: lengths.record() for split, lengths in tuned.lengths.items()},
        precision=tuned.precision,
        parameters=_parameters(origin.arguments) | asdict(tuned.batching),
        curve=curve,
        curve_steps_per_point=together,
        evaluations=evaluations,
        sample=findings.Sample(**asdict(tuned.asked.sample)),
        merged=findings.Merged(**asdict(comparison)) if comparison else None,
        seconds=tuned.seconds,
        versions=_versions(),
    )


def _warnings(tuned: Tuned) -> list[str]:
    left_out = "" if tuned.answered else LEFT_OUT
    return [text for text in (no_better(tuned.before, tuned.best.evaluation), left_out) if text]


def _metrics(tuned: Tuned) -> findings.Metrics:
    best, history = tuned.best.evaluation, tuned.history
    return findings.Metrics(
        eval_loss_before=tuned.before.loss,
        eval_loss=best.loss,
        eval_perplexity_before=_perplexity(tuned.before),
        eval_perplexity=_perplexity(best),
        eval_tokens=best.tokens,
        eval_loss_last=tuned.last.loss if tuned.last else None,
        eval_examples=tuned.evaluated.examples,
        evaluated=tuned.evaluated,
        train_tokens=history.tokens,
        steps=history.steps,
        best_step=tuned.best.step,
        stopped_early=tuned.stopped_early,
        resumed_from=history.resumed_from,
        tokens_per_second=history.tokens / history.seconds,
    )


def _perplexity(evaluation: Evaluation) -> float | None:
    return evaluation.perplexity if math.isfinite(evaluation.perplexity) else None


def _shares(before: Mapping[str, Part], after: Mapping[str, Part]) -> list[findings.Share]:
    return [
        findings.Share(
            name=str(name),
            tokens=share.tokens,
            eval_loss_before=before[name].loss if name in before else None,
            eval_loss=share.loss,
        )
        for name, share in sorted(after.items(), key=lambda item: str(item[0]))
    ]


def _families(before: Mapping[str, Part], after: Mapping[str, Part]) -> findings.Families | None:
    """Return the means over families; None where Prepare named none."""
    if not after:
        return None
    changes = [(before[name].loss, part.loss) for name, part in after.items()]
    highest = sorted(after, key=lambda name: (-after[name].loss, name))[:_WORST_FAMILIES]
    return findings.Families(
        count=len(changes),
        improved=sum(later < earlier for earlier, later in changes),
        eval_loss_before=sum(earlier for earlier, _ in changes) / len(changes),
        eval_loss=sum(later for _, later in changes) / len(changes),
        worst=_shares(before, {name: after[name] for name in highest}),
    )


def _completions(answered: Answered) -> findings.Completions:
    return findings.Completions(
        examples=answered.examples,
        exact_match_before=answered.base.exact,
        exact_match=answered.tuned.exact,
        token_f1_before=answered.base.f1,
        token_f1=answered.tuned.f1,
    )


def _data(origin: Origin) -> findings.Data:
    prepared = origin.prepared
    return findings.Data(
        raw=prepared.source,
        curated=prepared.target,
        template=prepared.template,
        counts=prepared.counts,
    )


def _lineage(origin: Origin) -> findings.Lineage:
    return findings.Lineage(
        execution_arn=origin.arguments.execution_arn,
        training_job=origin.training_job,
        principal=origin.principal,
        prepare_manifest_sha256=origin.prepared.sha256,
        base_model=origin.base,
        git_commit=origin.build.git_commit,
    )


def _parameters(arguments: Arguments) -> dict[str, str | int | float]:
    return {name: value for name, value in vars(arguments).items() if name not in _NO_SETTINGS}


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in _PACKAGES
    }
