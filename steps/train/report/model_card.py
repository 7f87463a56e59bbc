"""`README.md`, the model card: front matter for the hub, then one page for people.

`model_card.md.jinja` is the page. The licence is the one that the base model's mirror states, or
"not stated".
"""

import yaml

from steps.train.report import templates
from steps.train.report.findings import Findings


def render(found: Findings) -> str:
    """Return the card as Markdown."""
    environment = templates.environment()
    environment.filters |= {"text": _text, "code": _code}
    template = environment.get_template("model_card.md.jinja")
    return template.render(found=found, front_matter=_front_matter(found))


def _front_matter(found: Findings) -> str:
    """Return the hub's metadata as YAML. It has no `license`: nobody has licensed the adapter."""
    metrics = [
        ("loss", "eval loss, nats per target token", found.metrics.eval_loss),
        ("perplexity", "eval perplexity", found.metrics.eval_perplexity),
    ]
    curated = found.data.curated
    result = {
        "task": {"type": "text-generation"},
        "dataset": {"type": "private", "name": curated.table, "revision": str(curated.version)},
        "metrics": [
            {"type": kind, "name": name, "value": value}
            for kind, name, value in metrics
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


def _text(value: object) -> str:
    """Return a value as one line that Markdown reads as plain text, in a table too."""
    return " ".join(str(value).splitlines()).replace("|", "\\|").replace("`", "\\`")


def _code(value: object) -> str:
    """Return a value as one line that fits between two backticks."""
    return " ".join(str(value).splitlines()).replace("`", "'")
