"""How much an evaluation may measure, so that evaluating stays a small share of Train's work.

    planned = sample_tokens(trained=9_000_000, whole=1_000_000, evaluations=22)      # 58,122
    share(evaluated=…, trained=…)                                                    # at most 0.15

The unit is the forward of one token; a token that is trained costs `STEP_FORWARDS`. All held-out
examples are measured before training and at the best step, and Gate compares the latter. What these
two leave of `SHARE` is divided among the evaluations on the way, which measure a sample.
"""

from steps.train.planning.batching import STEP_FORWARDS

SHARE = 0.15  # of the work of a training, at most, by default
ENOUGH_TOKENS = 2**17  # of a sample: a larger one varies hardly less
WHOLE_PASSES = 2  # before training, and at the best step
# Reserved for the completions: 32 prompts and answers of up to 1,000 tokens, by two models
COMPLETIONS = 2 * 32 * 1000


def sample_tokens(*, trained: int, whole: int, evaluations: int) -> int:
    """Return how many tokens each evaluation on the way may measure; 0 where none are left.

    Args:
        trained: tokens that the training processes.
        whole: tokens of all held-out examples.
        evaluations: how many evaluations there are on the way.
    """
    allowed = SHARE / (1 - SHARE) * STEP_FORWARDS * trained
    left = allowed - WHOLE_PASSES * whole - COMPLETIONS
    return max(0, min(ENOUGH_TOKENS, int(left // max(1, evaluations))))


def share(*, evaluated: int, trained: int) -> float:
    """Return the share of evaluations in the work of a training, 0 … 1."""
    return evaluated / (evaluated + STEP_FORWARDS * trained)
