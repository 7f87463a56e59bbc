"""Turn examples into documents that fit a row; cut or drop what is too long, and count it.

    lengths = Lengths()
    for batch in batches:
        documents = fit(chat, examples(batch), row_tokens, lengths)

Only the end of the prompt is cut: its beginning holds the instruction, and the completion is what
the model learns. An example whose completion leaves no room for the prompt is dropped.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steps.train.data.chat_template import Chat, Turn
from steps.train.data.curated_rows import Example
from steps.train.data.document import Document
from steps.train.data.industries import division

PROMPT_CUT = "prompt_cut"  # kept, without the end of its prompt
COMPLETION_TOO_LONG = "completion_too_long"  # dropped
COMPLETION_EMPTY = "completion_empty"  # dropped
# Tokens of an example before any cut; the upper edge of each class
_HISTOGRAM_EDGES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass
class Lengths:
    """Lengths of the examples of one split, and what was cut or dropped, by reason.

    `tokens`, `target_tokens` and `documents` count what is trained on; `longest` and `histogram`
    count examples before any cut.
    """

    documents: int = 0
    tokens: int = 0
    target_tokens: int = 0
    longest: int = 0
    histogram: Counter[str] = field(default_factory=Counter)
    affected_documents: Counter[str] = field(default_factory=Counter)
    lost_tokens: Counter[str] = field(default_factory=Counter)

    @property
    def examples(self) -> int:
        """How many examples were counted, kept or dropped."""
        return self.histogram.total()

    def count_example(self, tokens: int) -> None:
        """Count one example before any cut."""
        self.longest = max(self.longest, tokens)
        fitting = (f"<= {edge}" for edge in _HISTOGRAM_EDGES if tokens <= edge)
        self.histogram[next(fitting, "longer")] += 1

    def count_document(self, document: Document) -> None:
        """Count one document that is trained on."""
        self.documents += 1
        self.tokens += len(document)
        self.target_tokens += document.target_tokens

    def count_loss(self, reason: str, tokens: int) -> None:
        """Count one example that was cut or dropped, and the tokens it lost."""
        self.affected_documents[reason] += 1
        self.lost_tokens[reason] += tokens

    def record(self) -> dict[str, object]:
        """Return the counts for the report."""
        return {
            "documents": self.documents,
            "tokens": self.tokens,
            "target_tokens": self.target_tokens,
            "longest_before_cut": self.longest,
            "histogram_before_cut": {
                name: self.histogram[name]
                for name in (*(f"<= {edge}" for edge in _HISTOGRAM_EDGES), "longer")
            },
            "affected_documents": dict(self.affected_documents),
            "lost_tokens": dict(self.lost_tokens),
        }

    def state(self) -> dict[str, Any]:
        """Return all counts as JSON-serializable values; `from_state` restores them."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Lengths":
        """Restore the result of `state`."""
        values: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value
            for name, value in state.items()
        }
        return cls(**values)


def fit(chat: Chat, rows: Sequence[Example], row_tokens: int, lengths: Lengths) -> list[Document]:
    """Return the examples as documents of at most `row_tokens` tokens; count them in `lengths`.

    Documents keep the order of the examples. Examples that do not fit are left out.
    """
    turns = chat.turns(
        [row.system for row in rows], [row.prompt for row in rows], [row.completion for row in rows]
    )
    fits = (_fit(turn, row, row_tokens, lengths) for turn, row in zip(turns, rows, strict=True))
    kept = [document for document in fits if document is not None]
    for document in kept:
        lengths.count_document(document)
    return kept


def _fit(turn: Turn, row: Example, row_tokens: int, lengths: Lengths) -> Document | None:
    """Return the example as a document, None if it is dropped."""
    question, answer = turn.question(), turn.answer()
    total = len(question) + len(answer)
    lengths.count_example(total)
    excess = total - row_tokens
    if not turn.completion:
        lengths.count_loss(COMPLETION_EMPTY, total)
        return None
    if excess > len(turn.prompt) - 1:  # at least one prompt token must remain
        lengths.count_loss(COMPLETION_TOO_LONG, total)
        return None
    if excess > 0:
        lengths.count_loss(PROMPT_CUT, excess)
        question = Turn(turn.system, turn.prompt[:-excess], turn.completion).question()
    return Document(
        (*question, *answer),
        len(question),
        row.example_id,
        row.year,
        division(row.sic),
        row.family_id or "",
    )
