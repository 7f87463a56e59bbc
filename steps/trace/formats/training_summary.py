"""The public summary of training content (EU AI Act, Art. 53(1)(d)): what the record knows of it.

The headings and field names are those of the Commission's template (24 July 2025; C(2025) 8311
final, annex), as summaries that providers have published repeat them [unverified: not compared with
the Official Journal]. A field that the record does not have reads "not known from the record": who
publishes the summary has to fill it. It covers the fine-tuning data only; the base model has its
own provider's summary.
"""

import re

from steps.trace.record_evidence import RecordEvidence

UNKNOWN = "not known from the record"
_SMALL, _LARGE = 10**9, 10**13  # tokens: the template's limits of its three sizes of text
_TITLE = "Public Summary of Training Content for general-purpose AI models"
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|])")

Field = tuple[str, str | None]


def project(evidence: RecordEvidence) -> bytes:
    """Return the summary as Markdown."""
    sections = {
        "1. General information": {
            "1.1. Provider identification": _provider(),
            "1.2. Model identification": _model(evidence),
            "1.3. Modalities, overall training data size and other characteristics": _size(
                evidence
            ),
        },
        "2. List of data sources": _sources(evidence),
        "3. Data processing aspects": _processing(evidence),
    }
    lines = [f"# {_TITLE}", "", *_about(evidence), ""]
    lines += [f"- **{name}**: {UNKNOWN}" for name in ("Version of the Summary", "Last update")]
    for heading, parts in sections.items():
        lines += ["", f"## {heading}"]
        for title, fields in parts.items():
            lines += ["", f"### {title}", ""]
            lines += [f"- **{name}**: {value or UNKNOWN}" for name, value in fields]
    return ("\n".join(lines) + "\n").encode()


def _about(evidence: RecordEvidence) -> list[str]:
    model = evidence.record.model
    return [
        (
            f"Made from the record of {_text(model.name)} version {model.version}. It covers the "
            "data of the fine-tuning."
        ),
        f'"{UNKNOWN}" marks each field that the provider has to fill.',
    ]


def _provider() -> list[Field]:
    return [
        ("Provider name and contact details", None),
        ("Authorised representative name and contact details", None),
    ]


def _model(evidence: RecordEvidence) -> list[Field]:
    model, base = evidence.record.model, evidence.record.base_model
    licence = f", licence {_text(base.licence)}" if base.licence else ""
    return [
        ("Versioned model name(s)", f"{_text(model.name)} version {model.version}"),
        (
            "Model dependencies",
            f"fine-tuned from {_text(base.name)}, revision {base.revision}{licence}",
        ),
        ("Date of placement of the model on the Union market", None),
    ]


def _size(evidence: RecordEvidence) -> list[Field]:
    record, counts = evidence.record, evidence.prepared.counts
    tokens = record.metrics.train_tokens
    return [
        ("Modality", "text"),
        (
            "Training data size",
            (
                f"{_range(tokens)} ({tokens} tokens in all passes over "
                f"{record.data.examples_train} training examples; "
                f"{record.data.examples_eval} more for evaluation)"
            ),
        ),
        (
            "Types of content",
            (
                f"instruction examples made from {counts.filings_kept} filings "
                f"(template {_text(evidence.prepared.template)})"
            ),
        ),
        ("Latest date of data acquisition/collection for model training", None),
        ("Description of the linguistic characteristics of the overall training data", None),
        ("Other relevant characteristics of the overall training data", None),
    ]


def _sources(evidence: RecordEvidence) -> dict[str, list[Field]]:
    source, counts = evidence.prepared.source, evidence.prepared.counts
    used = f"; {evidence.filings.filings} of them gave examples" if evidence.filings else ""
    table = (
        f"table {_text(source.table)} at Delta version {source.version}: {counts.filings_read} "
        f"filings read, {counts.filings_kept} kept{used}. Which of these sections it belongs to is "
        f"{UNKNOWN}"
    )
    return {
        "Data that was used": [("Source", table)],
        "2.1. Publicly available datasets": [
            ("List of large publicly available datasets", None),
            ("General description of other publicly available datasets not listed above", None),
        ],
        "2.2. Private non-publicly available datasets obtained from third parties": [
            (
                "2.2.1. Datasets commercially licensed by rightsholders or their representatives",
                None,
            ),
            ("2.2.2. Private datasets obtained from other third parties", None),
        ],
        "2.3. Data crawled and scraped from online sources": [
            ("Crawler name(s)/identifier(s)", None),
            ("Purposes of the crawler(s)", None),
            ("General description of crawler behaviour", None),
            ("Period of data collection", None),
            ("Comprehensive description of the type of content and online sources crawled", None),
            ("Summary of the most relevant domain names crawled", None),
        ],
        "2.4. User data": [
            ("Data from user interactions with the AI model", None),
            ("Data from user interactions with the provider's other services or products", None),
        ],
        "2.5. Synthetic data": [
            ("Synthetic AI-generated data created by the provider or on their behalf", None),
        ],
        "2.6. Other sources of data": [
            ("Narrative description of these data sources and the data", None)
        ],
    }


def _processing(evidence: RecordEvidence) -> dict[str, list[Field]]:
    counts = evidence.prepared.counts
    reasons = counts.rejected_by_reason
    rejected = ", ".join(f"{_text(name)} {number}" for name, number in reasons.items())
    removed = (
        f"{counts.filings_rejected} filings and {counts.examples_rejected} examples rejected"
        + (f" (by reason: {rejected})" if rejected else "")
    )
    return {
        "3.1. Respect of reservation of rights from text and data mining exception or limitation": [
            ("Signatory to the Code of Practice for general-purpose AI models", None),
            ("Measures implemented before model training", None),
        ],
        "3.2. Removal of illegal content": [("General description of measures taken", None)],
        "3.3. Other information (optional)": [
            ("Other relevant information about data processing", removed)
        ],
    }


def _range(tokens: int) -> str:
    if tokens < _SMALL:
        return "less than 1 billion tokens"
    return "1 billion to 10 trillion tokens" if tokens <= _LARGE else "more than 10 trillion tokens"


def _text(value: str) -> str:
    """Return a value as plain text on one line of Markdown."""
    return _MARKUP.sub(r"\\\1", " ".join(value.split()))
