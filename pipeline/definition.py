"""The pipeline on one page: Limits, Prepare, Train, Gate, then Register or Rejected.

    definition.compiled(config.load("dev"))     # the JSON that upsert sends

Compiling calls no service, and the same configuration gives the same bytes on every machine.
"""

from pipeline.configuration.config import Config
from pipeline.configuration.parameters import TABLE, Parameter, Value
from pipeline.graph import gate, limits, prepare, register, sdk, train
from pipeline.graph.expressions import Variable


@sdk.compiling()
def build(config: Config) -> sdk.Pipeline:
    """Return the pipeline: its parameters and its steps."""
    session = sdk.offline_session(config.aws.region, config.storage.artifact_bucket)
    parameters = {parameter.name: _declared(parameter, config) for parameter in TABLE}

    prepared = prepare.step(config, parameters)
    checked = limits.step(config, parameters, passed=prepared)
    trained = train.step(config, parameters, session=session, after=prepared)
    registered = register.step(config)
    rejected = gate.rejected(trained, parameters)
    bounds = parameters["MaxEvalLoss"], config.limits.max_eval_loss
    gated = gate.step(trained, *bounds, passed=registered, failed=rejected)

    return sdk.Pipeline(
        name=config.pipeline.name,
        parameters=list(parameters.values()),
        steps=[checked, trained, gated],
        sagemaker_session=session,
        # Runs are tracked in MLflow. A SageMaker experiment would need more rights.
        pipeline_experiment_config=None,
    )


@sdk.compiling()
def compiled(config: Config) -> str:
    """Return the definition as JSON."""
    definition: str = build(config).definition()
    return definition


def _declared(parameter: Parameter, config: Config) -> Variable:
    default = config.parameters.get(parameter.name, parameter.default)
    if parameter.type == "Integer":
        return sdk.ParameterInteger(name=parameter.name, default_value=default)
    if parameter.type == "Float":
        return sdk.ParameterFloat(name=parameter.name, default_value=float(default))
    enumeration = list(_enumerated(parameter, config)) or None
    return sdk.ParameterString(name=parameter.name, default_value=default, enum_values=enumeration)


def _enumerated(parameter: Parameter, config: Config) -> tuple[Value, ...]:
    """The values that SageMaker takes at the start; ceilings of the configuration among them."""
    ceilings = {
        "ModelAlias": config.limits.aliases,
        "TrainInstanceType": config.limits.instance_types,
    }
    return ceilings.get(parameter.name, parameter.choices)
