"""Repair what may be repaired: by messages to the register worker, and by rejecting packages.

    lines, comparison = fix(arguments, services)

This program neither signs, nor writes evidence, nor changes the catalog. The worker does, as the
role `register`, under the execution's lease, after it has asked SageMaker itself. So a program that
is killed here leaves at most a message too many, which has no second effect, and two programs at
once send at most one message each. A package of SageMaker's own registry that no decision approves
is rejected here; rejecting it twice has one effect, and this role may not approve one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from steps.governance.documents import model_package
from steps.governance.errors import GovernanceError
from steps.reconcile.arguments import Arguments
from steps.reconcile.comparing import QUEUE, compare
from steps.reconcile.differences import Comparison, CouldNot, Difference, Remedy, one_line
from steps.reconcile.inventory import Inventory, Services

_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Line:
    """One thing that was done, would be done, or is left."""

    action: str
    difference: Difference


@dataclass
class _Sent:
    """What was sent in this run: ids of executions, and the faults of single messages."""

    redriven: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)  # ARNs of packages
    faults: list[CouldNot] = field(default_factory=list)
    busy: int = 0  # messages that the register queue had


def report(comparison: Comparison) -> list[Line]:
    """Return what `--fix` would do."""
    would = {
        Remedy.REDRIVE: "would redrive",
        Remedy.WORKER: "would ask the worker",
        Remedy.REJECT: "would reject",
    }
    return [
        Line(would.get(each.remedy, each.remedy.value), each) for each in comparison.differences
    ]


def fix(
    arguments: Arguments, services: Services, sleep: Callable[[float], None] = time.sleep
) -> tuple[list[Line], Comparison]:
    """Send what must be sent, wait for the worker, and compare again.

    Returns:
        one line for each difference of the first comparison, and the last comparison.
    """
    inventory = Inventory(arguments, services)
    try:
        before = compare(inventory)
        sent = _send(inventory, before)
        _reject(services, before, sent)
    finally:
        inventory.close()
    after = before
    if sent.redriven or sent.asked:
        after = _awaited(arguments, services, sent, sleep)
    elif sent.rejected:
        after = _compared(arguments, services)
    lines = [Line(_action(each, sent, after), each) for each in before.differences]
    faults = (*after.could_not, *sent.faults)
    return lines, Comparison(after.differences, faults, after.young)


def _send(inventory: Inventory, before: Comparison) -> _Sent:
    sent, queues = _Sent(), inventory.services.queues
    wanted = {each.execution for each in before.differences if each.remedy is Remedy.REDRIVE}
    for letter in list(inventory.letters) if wanted else ():
        identity = letter.arn.rsplit("/", 1)[-1]
        if identity in wanted and inventory.is_of(letter, identity):
            try:
                queues.redrive(letter)
            except GovernanceError as error:
                sent.faults.append(CouldNot(QUEUE.code, one_line(error)))
                continue
            inventory.letters.remove(letter)
            sent.redriven.add(identity)
    asked = {each.execution for each in before.differences if each.remedy is Remedy.WORKER}
    if asked - sent.redriven:
        sent.busy = inventory.waiting  # as it was before anything was sent
    for identity in sorted(asked - sent.redriven) if not sent.busy else ():
        execution = inventory.executions[identity]
        try:
            queues.send_request(execution.arn, execution.token)
        except GovernanceError as error:
            sent.faults.append(CouldNot(QUEUE.code, one_line(error)))
            continue
        sent.asked.add(identity)
    return sent


def _awaited(
    arguments: Arguments, services: Services, sent: _Sent, sleep: Callable[[float], None]
) -> Comparison:
    """Compare until the executions that were asked about agree, or the time is over."""
    deadline = time.monotonic() + arguments.wait_seconds
    while True:
        late = time.monotonic() >= deadline
        if late or not services.queues.waiting():
            after = _compared(arguments, services)
            left = {each.execution for each in after.differences if each.remedy is Remedy.WORKER}
            if late or not left & (sent.asked | sent.redriven):
                return after
        sleep(_PAUSE_SECONDS)


def _compared(arguments: Arguments, services: Services) -> Comparison:
    """Compare with what the services have now."""
    inventory = Inventory(arguments, services)
    try:
        return compare(inventory)
    finally:
        inventory.close()


def _reject(services: Services, before: Comparison, sent: _Sent) -> None:
    """Reject the packages that no decision approves; a fault of one hides no other."""
    for each in before.differences:
        if each.rejection is None or services.packages is None:
            continue
        arn, reason = each.rejection.arn, each.rejection.reason
        try:
            services.packages.decide(arn, model_package.REJECTED, reason)
        except GovernanceError as error:
            sent.faults.append(CouldNot(each.pair, one_line(error)))
            continue
        sent.rejected.add(arn)


def _action(difference: Difference, sent: _Sent, after: Comparison) -> str:
    """Return what became of a difference."""
    if difference.remedy is Remedy.PERSON:
        return str(difference.remedy.value)
    if difference.rejection is not None:
        return "rejected" if difference.rejection.arn in sent.rejected else "not rejected"
    if difference.remedy is Remedy.REDRIVE:
        return "redriven" if difference.execution in sent.redriven else "not redriven"
    if difference.execution not in sent.asked | sent.redriven:
        return f"not asked, {sent.busy} in queue" if sent.busy else "not asked"
    same = [(each.pair, each.subject, each.what) for each in after.differences]
    done = (difference.pair, difference.subject, difference.what) not in same
    return "completed" if done else "asked, not done yet"
