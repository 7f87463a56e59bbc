"""One tokenized example."""

from dataclasses import dataclass

from steps.train.data.industries import UNKNOWN


@dataclass(frozen=True, slots=True)
class Document:
    """One example as token ids: the prompt, then the completion that the model learns.

    The loss counts the tokens from `prompt_tokens` on.
    """

    ids: tuple[int, ...]
    prompt_tokens: int
    example_id: str = ""
    year: int | None = None  # of the filing
    group: str = UNKNOWN  # of the company (`steps.train.data.industries`)
    family: str = ""  # Prepare's `family_id`; "" if the table lacks the column

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def target_tokens(self) -> int:
        """How many tokens carry a label. A document's first token never does."""
        return len(self.ids) - max(1, self.prompt_tokens)
