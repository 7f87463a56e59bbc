"""Notes in an execution's description about what its registration waits for.

    Waiting(region).note(arn, reason, seconds=64, attempt=6, most=10)
    Waiting(region).clear(arn)

SageMaker shows no progress of a Callback step. DescribePipelineExecution, the list of executions
and Studio show the execution's description, and UpdatePipelineExecution sets it while the execution
runs [unverified on AWS]. What a person wrote there before the note is kept. If a note cannot be
written, that is logged: the registration does not fail.
"""

import logging

from steps.governance import aws
from steps.governance.errors import GovernanceError

log = logging.getLogger(__name__)

# pipeline/execution/outcome.py has the same text; `run --follow` finds the note by it
MARK = "Register waits: "
_BETWEEN = " · "
_MAX_DESCRIPTION = 3072  # characters [botocore 1.44: PipelineExecutionDescription, one line]
_MAX_NOTE = 1000
_MIN_NOTE = 80  # characters; a shorter one would hold no reason


class Waiting:
    """Notes in the descriptions of executions, with the worker's own role."""

    def __init__(self, region: str) -> None:
        self._sagemaker = aws.client("sagemaker", region)

    def note(
        self, execution_arn: str, reason: str, *, seconds: int, attempt: int, most: int
    ) -> None:
        """Write why the registration waits, for how many seconds, and which attempt is next."""
        when = f"in {seconds} s" if seconds else "as soon as a worker takes it"
        end = f"; next attempt {when} (attempt {attempt} of {most})"
        try:
            now = self._description(execution_arn)
            own = _own(now)
            room = min(_MAX_NOTE, _MAX_DESCRIPTION - len(own) - len(_BETWEEN))
            if room < _MIN_NOTE:
                log.warning("the description of %s has no room for a note", execution_arn)
                return
            text = _cut(MARK + _one_line(reason), room - len(end)) + end
            self._describe(execution_arn, _BETWEEN.join(filter(None, (own, text))), now=now)
        except GovernanceError as error:
            log.warning("could not note why Register waits: %s", error)

    def clear(self, execution_arn: str) -> None:
        """Remove the note: the registration continues, or has ended."""
        try:
            now = self._description(execution_arn)
            self._describe(execution_arn, _own(now), now=now)
        except GovernanceError as error:
            log.warning("could not clear the note why Register waited: %s", error)

    def _description(self, execution_arn: str) -> str:
        with aws.translated(f"describe execution {execution_arn}"):
            answer = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution_arn)
        return str(answer.get("PipelineExecutionDescription", ""))

    def _describe(self, execution_arn: str, text: str, *, now: str) -> None:
        if text != now:
            with aws.translated(f"change the description of {execution_arn}"):
                self._sagemaker.update_pipeline_execution(
                    PipelineExecutionArn=execution_arn, PipelineExecutionDescription=text
                )


def _own(description: str) -> str:
    """Return the description without our note."""
    before, mark, _ = description.partition(MARK)
    return before.removesuffix(_BETWEEN) if mark else description


def _one_line(reason: str) -> str:
    return _BETWEEN.join(" ".join(line.split()) for line in reason.splitlines() if line.strip())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
