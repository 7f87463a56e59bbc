"""The settings of the register worker. `steps/register/arguments.py` parses them."""

from pipeline import layout
from pipeline.configuration.config import Config
from pipeline.configuration.fields import LOCAL
from pipeline.configuration.sections import openlineage, waits


def arguments(config: Config) -> list[str]:
    """Return the worker's command line. A Lambda gets the same values in its environment."""
    settings = {
        "--queue-url": config.register.queue_url,
        "--pipeline-name": config.pipeline.name,
        "--databricks-host": config.databricks.host,
        "--databricks-secret-id": config.register.databricks_secret_id,
        "--evidence-uri": layout.evidence(config),
        "--image": config.register.image,
        "--signing-key-arn": config.evidence.signing_key_arn,
        "--ledger-uri": layout.ledger(config),
        # The ceilings of the deployment. The worker takes none from an execution.
        "--max-eval-loss": f"{config.limits.max_eval_loss!r}",
        "--instance-types": ",".join(config.limits.instance_types),
        "--max-runtime-seconds": str(config.limits.max_runtime_seconds),
        "--aliases": ",".join(config.limits.aliases),
        "--region": config.aws.region,
        "--heartbeat-uri": layout.heartbeat(config),
        "--metrics": "none" if config.environment == LOCAL else "emf",
        **{f"--{name}": word for name, word in openlineage.word(config.openlineage).items()},
        **{f"--{name}": word for name, word in waits.of_register(config.waits).items()},
    }
    return [word for pair in settings.items() for word in pair]
