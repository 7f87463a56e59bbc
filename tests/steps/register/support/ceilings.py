"""The ceilings of the worker of these tests, and its options for them."""

from steps.register.limits import Limits

LIMITS = Limits(5.0, ("ml.g5.16xlarge", "ml.g6.xlarge"), 14_400, ("challenger",))
OPTIONS = {
    "max-eval-loss": str(LIMITS.max_eval_loss),
    "instance-types": ",".join(LIMITS.instance_types),
    "max-runtime-seconds": str(LIMITS.max_runtime_seconds),
    "aliases": ",".join(LIMITS.aliases),
}
