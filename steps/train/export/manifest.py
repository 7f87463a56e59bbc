"""Where a tuned model comes from: everything about it that training itself does not know."""

from dataclasses import dataclass

from steps.governance.manifest import BaseModelFiles, Prepared
from steps.train.arguments import Arguments
from steps.train.report.findings import LiveMetrics


@dataclass(frozen=True)
class Origin:
    """What the job was told, the data and base model it verified, and who it was."""

    arguments: Arguments
    prepared: Prepared
    base: BaseModelFiles
    training_job: str
    principal: str
    live_metrics: LiveMetrics
