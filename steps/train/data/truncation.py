"""Examples as documents of at most one row: what does not fit is cut or dropped, counted, and reported with its reason.

    lengths = Lengths()
    for batch in batches:
        documents = fit(chat, examples(batch), row_tokens, lengths)

The prompt's end is cut first: the instruction stands at its beginning and the completion is what is learned. An example
whose completion alone leaves no room is dropped.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steps.train.data.chat_template import Chat, Turn
from steps.train.data.curated_rows import Example
from steps.train.data.document import Document
from steps.train.data.industries import division

PROMPT_CUT = "prompt_cut"  # kept, with the end of its prompt missing
COMPLETION_TOO_LONG = "completion_too_long"  # dropped
COMPLETION_EMPTY = "completion_empty"  # dropped
_HISTOGRAM_EDGES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass
class Lengths:
    """How long the examples of one split are, and what the row length cost: documents and tokens by reason."""

    documents: int = 0
    tokens: int = 0
    target_tokens: int = 0
    longest: int = 0
    histogram: Counter[str] = field(default_factory=Counter)
    affected_documents: Counter[str] = field(default_factory=Counter)
    lost_tokens: Counter[str] = field(default_factory=Counter)

    @property
    def examples(self) -> int:
        """All that were looked at, kept or dropped."""
        return self.histogram.total()

    def see(self, tokens: int) -> None:
        """Count one example as it came, before any cut."""
        self.longest = max(self.longest, tokens)
        self.histogram[
            next((f"<= {edge}" for edge in _HISTOGRAM_EDGES if tokens <= edge), "longer")
        ] += 1

    def keep(self, document: Document) -> None:
        """Count one document as it will be trained on."""
        self.documents += 1
        self.tokens += len(document)
        self.target_tokens += document.target_tokens

    def lose(self, reason: str, tokens: int) -> None:
        """Count one document that lost tokens."""
        self.affected_documents[reason] += 1
        self.lost_tokens[reason] += tokens

    def record(self) -> dict[str, object]:
        """The same for the report."""
        return {
            "documents": self.documents,
            "tokens": self.tokens,
            "target_tokens": self.target_tokens,
            "longest_before_cut": self.longest,
            "histogram_before_cut": {
                f"<= {edge}": self.histogram[f"<= {edge}"] for edge in _HISTOGRAM_EDGES
            }
            | {"longer": self.histogram["longer"]},
            "affected_documents": dict(self.affected_documents),
            "lost_tokens": dict(self.lost_tokens),
        }

    def state(self) -> dict[str, Any]:
        """All of it as JSON takes it; `from_state` undoes it."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Lengths":
        """What `state` gave."""
        values: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value
            for name, value in state.items()
        }
        return cls(**values)


def fit(chat: Chat, rows: Sequence[Example], row_tokens: int, lengths: Lengths) -> list[Document]:
    """Examples as documents of at most `row_tokens` tokens; what became of their lengths is counted in `lengths`."""
    turns = chat.turns(
        [row.system for row in rows], [row.prompt for row in rows], [row.completion for row in rows]
    )
    fits = (_fit(turn, row, row_tokens, lengths) for turn, row in zip(turns, rows, strict=True))
    kept = [document for document in fits if document is not None]
    for document in kept:
        lengths.keep(document)
    return kept


def _fit(turn: Turn, row: Example, row_tokens: int, lengths: Lengths) -> Document | None:
    question, answer = turn.question(), turn.answer()
    total = len(question) + len(answer)
    lengths.see(total)
    excess = total - row_tokens
    if not turn.completion:
        lengths.lose(COMPLETION_EMPTY, total)
        return None
    if excess > len(turn.prompt) - 1:  # at least one token of prompt must stay
        lengths.lose(COMPLETION_TOO_LONG, total)
        return None
    if excess > 0:
        lengths.lose(PROMPT_CUT, excess)
        question = Turn(turn.system, turn.prompt[:-excess], turn.completion).question()
    return Document(
        (*question, *answer), len(question), row.example_id, row.year, division(row.sic)
    )
