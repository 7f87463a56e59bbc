"""Choose the mode of `auto` on a GPU by timed layers of the model's own sizes.

    choice = choose(candidates, predicted, measured)

The roofline's mode is the one to beat: another mode is chosen only if it was measured faster by
more than `MARGIN`, or if the roofline's mode failed or does not fit (docs/decisions/070).
"""

from collections.abc import Sequence

from steps.governance.documents.precision import Choice, Tried
from steps.governance.errors import UsageError

# By how much another mode must be faster than the roofline's: above the noise of a median, and
# above what the head, which no trial times, could hide (3 % of a step).
MARGIN = 0.05


def choose(tried: Sequence[Tried], predicted: str, *, by_speed: bool) -> Choice:
    """Return the mode of a job.

    Args:
        tried: what was measured, with the reason where a mode was not.
        predicted: the roofline's mode.
        by_speed: whether a faster mode replaces the predicted one; otherwise only a fault does.

    Raises:
        UsageError: no mode runs on this device.
    """
    speeds = {each.mode: each.tokens_per_second for each in tried if each.tokens_per_second}
    if not speeds:
        faults = "; ".join(f"{each.mode}: {each.fault}" for each in tried)
        raise UsageError(
            "Fp8Mode auto found no mode that runs on this device",
            expected="one of storage, native and off",
            got=faults,
            do="set train.kernels plain, lower SequenceLength or choose another TrainInstanceType",
        )
    fastest = max(speeds, key=lambda mode: speeds[mode])
    if predicted not in speeds:
        fault = next((each.fault for each in tried if each.mode == predicted), "not tried")
        start = "storage" if "storage" in speeds else fastest
        chosen = fastest if by_speed and _beats(speeds, fastest, start) else start
        reason = f"{predicted}, which the roofline names, failed: {fault}"
    elif by_speed and _beats(speeds, fastest, predicted):
        chosen = fastest
        ratio = speeds[fastest] / speeds[predicted]
        reason = f"measured {ratio:.2f} times as fast as {predicted}, which the roofline names"
    else:
        chosen = predicted
        reason = (
            f"the roofline names it, and no mode was measured more than {MARGIN:.0%} faster"
            if by_speed
            else "the roofline names it, and it runs; Determinism full does not go by speed"
        )
    return Choice(mode=chosen, predicted=predicted, reason=reason, tried=list(tried))


def _beats(speeds: dict[str, float], mode: str, other: str) -> bool:
    return speeds[mode] > speeds[other] * (1 + MARGIN)
