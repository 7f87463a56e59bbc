"""Register: a message to the worker's queue; the worker reads the truth from SageMaker, registers and answers."""

from pipeline.config import Config
from pipeline.graph.sdk import CallbackOutput, CallbackOutputTypeEnum, CallbackStep

OUTPUTS = ("model_version", "model_uri", "record_uri")


def step(config: Config) -> CallbackStep:
    """No argument is sent: a worker that trusted its message could be told anything."""
    return CallbackStep(
        name="Register",
        description="Create the model version, its lineage and the record of this execution",
        sqs_queue_url=config.register.queue_url,
        inputs={},
        outputs=[CallbackOutput(name, CallbackOutputTypeEnum.String) for name in OUTPUTS],
    )
