"""The model card, README.md: front matter that the hub reads, then one page for people.

Whoever reads it decides whether to use the model, so it says what was measured, on what, and what is not known. The
licence is the one that the base model's mirror states; where it states none the card says so and invents nothing.
"""

import yaml

from steps.train.report.findings import Findings

NOT_STATED = "not stated"


def render(found: Findings) -> str:
    """The card as Markdown."""
    return f"---\n{_front_matter(found)}---\n\n{_body(found)}"


def _front_matter(found: Findings) -> str:
    """Metadata by the hub's specification; no `license`, since nobody has given the adapter one."""
    measured = [
        ("loss", "eval loss, nats per target token", found.metrics.eval_loss),
        ("perplexity", "eval perplexity", found.metrics.eval_perplexity),
    ]
    result = {
        "task": {"type": "text-generation"},
        "dataset": {
            "type": "private",
            "name": found.data.curated.table,
            "revision": str(found.data.curated.version),
        },
        "metrics": [
            {"type": kind, "name": name, "value": value}
            for kind, name, value in measured
            if value is not None
        ],
    }
    document = {
        "base_model": found.lineage.base_model.name,
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "governed-finetune"],
        "model-index": [{"name": found.lineage.training_job, "results": [result]}],
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text


def _body(found: Findings) -> str:
    base, metrics, precision = found.lineage.base_model, found.metrics, found.precision
    return f"""# LoRA adapter for {base.name}

Rank {found.parameters["lora_rank"]} on the language model's linears, trained on completions only, over the FP8 base at revision
`{base.revision}`. Load the base, then this adapter; it is not a whole model. `report.html` has the curves.

| | before | after |
|---|---|---|
| eval loss (nats per target token) | {metrics.eval_loss_before:.4f} | {metrics.eval_loss:.4f} |
| eval perplexity | {_number(metrics.eval_perplexity_before)} | {_number(metrics.eval_perplexity)} |

Measured on {metrics.eval_tokens} tokens of {metrics.eval_examples} held-out examples.

{_shares(found)}## Data

{_data(found)}

## Training

* {metrics.steps} optimizer steps, {metrics.train_tokens} tokens; the adapter is that of step {metrics.best_step}, the best \
evaluated{_ending(found)}.
* Precision: {precision.effective} (asked for {precision.requested}), {precision.dtype}, on {precision.device}.
* Determinism: {found.parameters["determinism"]}, seed {found.parameters["seed"]}.
* {", ".join(f"{name} {value}" for name, value in found.parameters.items())}
* {", ".join(f"{name} {version}" for name, version in found.versions.items())}
{_merged(found)}
## Licence

Base model: {base.licence or NOT_STATED}{_as_mirrored(found)}. The adapter itself has been given no licence: the base model's
terms and those of the governed data apply to it.

## Lineage

{_lineage(found)}

`manifest.json` names every file with its sha256.
"""


def _shares(found: Findings) -> str:
    lists = [("year of filing", found.by_year), ("group of companies", found.by_group)]
    return "".join(
        f"| {title} | tokens | before | after |\n|---|---|---|---|\n"
        + "".join(
            f"| {_cell(share.name)} | {share.tokens} | {_number(share.eval_loss_before)} | {_number(share.eval_loss)} |\n"
            for share in shares
        )
        + "\n"
        for title, shares in lists
        if shares
    )


def _data(found: Findings) -> str:
    data, counts = found.data, found.data.counts
    lines = [
        f"* `{data.curated.table}` version {data.curated.version}, made by template `{data.template}`",
        f"  from `{data.raw.table}` version {data.raw.version}.",
        f"* {counts.examples_train} training and {counts.examples_eval} evaluation examples",
        f"  of {counts.companies_train} and {counts.companies_eval} companies; no company is in both.",
        f"* {counts.filings_kept} of {counts.filings_read} filings were kept, {counts.filings_rejected} rejected.",
    ]
    for split, lengths in found.lengths.items():
        lost = lengths.get("affected_documents") or {}
        told = (
            ", ".join(f"{count} {reason}" for reason, count in lost.items())
            if isinstance(lost, dict)
            else ""
        )
        lines.append(
            f"* {split}: {lengths.get('documents')} documents, {lengths.get('tokens')} tokens; {told or 'none cut'}."
        )
    return "\n".join(lines)


def _ending(found: Findings) -> str:
    early = (
        "; training ended early, the loss had stopped falling"
        if found.metrics.stopped_early
        else ""
    )
    resumed = found.metrics.resumed_from
    return early + (f"; resumed at step {', '.join(map(str, resumed))}" if resumed else "")


def _merged(found: Findings) -> str:
    if found.merged is None:
        return ""
    return (
        f"* A merged bfloat16 model was written beside it; its logits differ by {found.merged.difference:.2g} of their norm "
        f"(at most {found.merged.tolerance} is accepted) on {found.merged.documents} held-out documents.\n"
    )


def _as_mirrored(found: Findings) -> str:
    return ", as its mirror states" if found.lineage.base_model.licence else " by its mirror"


def _lineage(found: Findings) -> str:
    lineage, data = found.lineage, found.data
    facts = {
        "execution": lineage.execution_arn,
        "training job": lineage.training_job,
        "principal": lineage.principal,
        "curated table": f"{data.curated.table_id} version {data.curated.version}",
        "raw table": f"{data.raw.table_id} version {data.raw.version}",
        "Prepare's manifest": f"sha256 {lineage.prepare_manifest_sha256}",
        "base model": f"{lineage.base_model.revision}, mirror sha256 {lineage.base_model.mirror_sha256}",
        "git commit": lineage.git_commit or NOT_STATED,
    }
    return "\n".join(f"* {name}: `{value}`" for name, value in facts.items())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
