"""How long a call is repeated while a service does not answer, in seconds: one budget a phase.

    Policy(WORKING_SECONDS, clock, starting_seconds=CONNECTING_SECONDS)      # of a job

A job's budgets are long: to start costs little, and what a job has done is expensive to lose. A
person who waits for a command gets an answer sooner. Register answers from a queue: one delivery is
short, and its message is delivered again for hours. docs/decisions/023-budgets.md lists the calls.

A job waits at least 15 minutes at its start, and 30 in each later call. The numbers are larger,
because a pause that does not fit into what is left ends a call early. `waits:` of conf/<env>.yaml
may state others, which Prepare and Train get as the argument `waits`, and the register worker as
--give-up-after-seconds.
"""

from dataclasses import dataclass

CONNECTING_SECONDS = 16 * 60.0  # secret and first access token of a job or a worker
WORKING_SECONDS = 32 * 60.0  # each later call of a job
ASKING_SECONDS = 60.0  # each call of a command, and of one delivery to the register worker
# One registration, from its message's first receive. SQS keeps a message for 14 days.
DELIVERING_SECONDS = 6 * 60 * 60
MOST_SECONDS = 12 * 60 * 60  # as in pipeline/configuration/sections/waits.py


@dataclass(frozen=True)
class Waits:
    """How long a job repeats a call, in seconds: at its start, and later."""

    starting: float = CONNECTING_SECONDS
    working: float = WORKING_SECONDS
