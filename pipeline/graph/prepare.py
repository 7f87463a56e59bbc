"""Prepare: a Spark job on EMR Serverless makes instruction examples from the raw table."""

from pipeline import layout
from pipeline.configuration.config import Config
from pipeline.configuration.sections import openlineage, screening, waits
from pipeline.graph import retries
from pipeline.graph.expressions import Variable, Variables, texts, uri
from pipeline.graph.sdk import EMRServerlessJobConfig, EMRServerlessStep, ExecutionVariables


def step(config: Config, parameters: Variables) -> EMRServerlessStep:
    """Return the step with its job and the job's command line."""
    return EMRServerlessStep(
        name="Prepare",
        display_name="Prepare",
        description=(
            "Read the raw table through Unity Catalog, "
            "write this execution's examples and their manifest"
        ),
        application_id=config.prepare.application_id,
        job_config=EMRServerlessJobConfig(
            name=f"{config.pipeline.name}-prepare",
            execution_role_arn=config.prepare.role_arn,
            execution_timeout_minutes=config.prepare.timeout_minutes,
            job_driver={"sparkSubmit": _spark_submit(config, parameters)},
            # An application has one image. The tag is the image that this definition was made for;
            # an audit compares the two.
            tags={**config.pipeline.tags, "image": config.prepare.image},
        ),
        retry_policies=[retries.service_faults()] if config.prepare.retries else None,
    )


def arguments(config: Config, parameters: Variables) -> dict[str, Variable | str]:
    """Return the command line by option. `steps/prepare/arguments.py` parses it."""
    return texts(
        {
            "--execution-arn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            "--raw-table": parameters["RawTable"],
            "--raw-version": parameters["RawTableVersion"],
            "--curated-table": parameters["CuratedTable"],
            "--curated-from": parameters["CuratedFrom"],
            "--curated-root": config.prepare.curated_root,
            "--manifest-uri": uri(layout.prepare_manifest(config)),
            "--eval-fraction": config.prepare.eval_fraction,
            "--seed": config.prepare.split.seed,
            "--delta-engine": config.prepare.delta_engine,
            # Prepare checks what Register will need before anything is paid for.
            "--model-name": parameters["ModelName"],
            "--model-alias": parameters["ModelAlias"],
            "--register-principal": config.register.databricks_client_id or "unknown",
            "--databricks-host": config.databricks.host,
            "--databricks-secret-id": config.prepare.databricks_secret_id,
            "--region": config.aws.region,
            "--scrub": ",".join(config.prepare.scrub) or "none",
            "--quality": screening.word(config.prepare.quality),
            "--contract": screening.word(config.prepare.contract),
            "--sources": ",".join(config.prepare.sources),
            "--split": config.prepare.split.word,
            **config.prepare.task_arguments,
            **{f"--{name}": word for name, word in openlineage.word(config.openlineage).items()},
            **{f"--{name}": word for name, word in waits.word(config.waits).items()},
        }
    )


def _spark_submit(config: Config, parameters: Variables) -> dict[str, object]:
    driver = config.logging.variables
    spark = config.prepare.spark | {
        f"spark.emr-serverless.driverEnv.{name}": value for name, value in driver.items()
    }
    return {
        "entryPoint": config.prepare.entry_point,
        "entryPointArguments": [
            word for pair in arguments(config, parameters).items() for word in pair
        ],
        "sparkSubmitParameters": " ".join(f"--conf {key}={value}" for key, value in spark.items()),
    }
