"""The section `waits`: how long a call is repeated while a service does not answer.

    word(config.waits)           # {"waits": "60,300"}, or nothing for the steps' own defaults

steps/governance/unity_catalog/budgets.py has the same defaults and the reasons; a test compares
them. Outside of the local environment none may be shorter than 15 min, 30 min and 6 h.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic.dataclasses import dataclass

from pipeline.configuration.fields import is_local
from pipeline.configuration.sections.strictness import STRICT

# A message that waits is received every 512 s. The queue takes 120 receives, so that 12 hours leave
# some for restarts (conf/infrastructure/compute.yaml).
MOST_SECONDS = 12 * 60 * 60


def _least(seconds: int) -> AfterValidator:
    def check(value: int, info: ValidationInfo) -> int:
        if value < seconds and not is_local(info):
            message = f"expected at least {seconds} s outside of the local environment, got {value}"
            raise ValueError(message)
        return value

    return AfterValidator(check)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Waits:
    """Seconds, each at most 12 h."""

    start_seconds: Annotated[int, _least(15 * 60)] = Field(
        default=960, ge=1, le=MOST_SECONDS, description="whole seconds, at a job's start"
    )
    within_seconds: Annotated[int, _least(30 * 60)] = Field(
        default=1920, ge=1, le=MOST_SECONDS, description="whole seconds, each later call of a job"
    )
    register_seconds: Annotated[int, _least(6 * 60 * 60)] = Field(
        default=21_600, ge=1, le=MOST_SECONDS, description="whole seconds, one registration"
    )


DEFAULTS = Waits()


def word(section: Waits) -> dict[str, str]:
    """Return the argument `waits` of Prepare and Train, or nothing for their defaults."""
    given = (section.start_seconds, section.within_seconds)
    if given == (DEFAULTS.start_seconds, DEFAULTS.within_seconds):
        return {}
    return {"waits": ",".join(map(str, given))}


def of_register(section: Waits) -> dict[str, str]:
    """Return the register worker's argument, or nothing for its default."""
    if section.register_seconds == DEFAULTS.register_seconds:
        return {}
    return {"give-up-after-seconds": str(section.register_seconds)}
