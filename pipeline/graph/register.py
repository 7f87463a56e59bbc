"""Register: a message to the worker's queue. The worker registers the model and answers."""

from pipeline.configuration.config import Config
from pipeline.graph.sdk import CallbackOutput, CallbackOutputTypeEnum, CallbackStep

# The last three are addresses that a browser opens; run_url is `none` for an untracked training.
OUTPUTS = ("model_version", "model_uri", "record_uri", "report_url", "model_url", "run_url")


def step(config: Config) -> CallbackStep:
    """Return the step. The message has no arguments: the worker reads them from SageMaker, because
    anyone who can write to the queue could send others."""
    return CallbackStep(
        name="Register",
        description="Create the model version, its lineage and the record of this execution",
        sqs_queue_url=config.register.queue_url,
        inputs={},
        outputs=[CallbackOutput(name, CallbackOutputTypeEnum.String) for name in OUTPUTS],
    )
