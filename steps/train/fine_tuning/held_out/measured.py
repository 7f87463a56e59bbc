"""The held-out examples: all of them, and the sample that evaluations on the way measure.

    held_out = task.held_out(schedule, rows_per_step)
    held_out.evaluated(passes, history.tokens)      # for the report and the manifest

All are measured before training and at the best step. A small set is its own sample; then each
evaluation measures everything.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from steps.governance.documents.evaluated import Evaluated
from steps.train.data.corpus import Rows
from steps.train.data.document import Document
from steps.train.fine_tuning.evaluation import Marked
from steps.train.fine_tuning.held_out import completions
from steps.train.planning import proportion


@dataclass(frozen=True)
class Passes:
    """How often the evaluations went over all examples and over the sample."""

    whole: int
    sample: int


@dataclass(frozen=True)
class HeldOut:
    """The packed rows of both sets."""

    whole: Rows
    sample: Rows

    @property
    def is_sampled(self) -> bool:
        """Whether the sample is smaller than the whole."""
        return self.sample is not self.whole

    @cached_property
    def sample_ids(self) -> frozenset[str]:
        """The example ids of the sample; empty where it is the whole."""
        if not self.is_sampled:
            return frozenset()
        return frozenset(document.example_id for document in chain.from_iterable(self.sample))

    def marked(self, rows: Rows) -> Marked:
        """Return one of the two sets, and which documents of it are in the sample."""
        return Marked(rows) if rows is self.sample else Marked(rows, self.sample_ids)

    def few(self) -> list[Document]:
        """Return documents to complete, spread over years, industries and families."""
        return self.whole.spread(completions.EXAMPLES)

    def described(self, *, of: int) -> str:
        """Return a line for the log; there are `of` held-out examples."""
        whole, sample = self.whole.documents, self.sample.documents
        if not self.is_sampled:
            return f"each evaluation measures {whole} of {of} held-out examples"
        return (
            f"evaluations before training and of the best step measure {whole} of {of} held-out "
            f"examples, those on the way a sample of {sample}"
        )

    def evaluated(self, passes: Passes, trained: int, answered: int = 0, /) -> Evaluated:
        """Return what was measured, and its share of the work.

        Args:
            passes: the evaluations that were made.
            trained: tokens of all optimizer steps.
            answered: tokens of the prompts and completions that were generated.
        """
        tokens, of_sample = self.whole.tokens, self.sample.tokens
        measured = passes.whole * tokens + passes.sample * of_sample + answered
        return Evaluated(
            examples=self.whole.documents,
            tokens=tokens,
            sample_examples=self.sample.documents,
            sample_tokens=of_sample,
            whole_passes=passes.whole,
            sample_passes=passes.sample,
            share=round(proportion.share(evaluated=measured, trained=trained), 4),
        )

    def allows(self, passes: Passes, *, trained: int) -> bool:
        """Return whether these passes and the completions stay within `proportion.SHARE`."""
        found = self.evaluated(passes, trained, proportion.COMPLETIONS)
        return found.share <= proportion.SHARE
