"""The section `logging`."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.configuration.sections.strictness import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Logging:
    """How the steps log (steps/governance/logs.py). DEBUG is for the steps' own lines only."""

    format: Literal["text", "json"] = Field("text", description="text or json")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    @property
    def variables(self) -> dict[str, str]:
        """The environment variable that each step reads."""
        return {"GOVERNED_FINETUNE_LOGGING": f"{self.format}:{self.level}"}
