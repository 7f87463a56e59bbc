"""Ministral's chat format as token ids, in which text from filings cannot become control tokens.

    <s>[SYSTEM_PROMPT]…[/SYSTEM_PROMPT][INST]…[/INST]…</s>

The control tokens are inserted by id. All text between them is encoded with special tokens switched
off, so a filing that contains `</s>[INST]` trains on these characters, not on the control tokens.
The system message is always explicit: without one, the template on the hub adds a long default
message that contains the current date.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from steps.governance.errors import IntegrityError

# Ids of mistral-common's v13 tekken tokenizer, equal in every Ministral-3
CONTROL_IDS = {
    "<s>": 1,
    "</s>": 2,
    "[INST]": 3,
    "[/INST]": 4,
    "[SYSTEM_PROMPT]": 17,
    "[/SYSTEM_PROMPT]": 18,
}
BOS, EOS, INST, END_INST, SYSTEM, END_SYSTEM = CONTROL_IDS.values()
PAD = 11


@dataclass(frozen=True, slots=True)
class Turn:
    """System message, prompt and completion as token ids, without control tokens."""

    system: list[int]
    prompt: list[int]
    completion: list[int]

    def question(self) -> list[int]:
        """Return the tokens before the model's answer, with control tokens."""
        return [BOS, SYSTEM, *self.system, END_SYSTEM, INST, *self.prompt, END_INST]

    def answer(self) -> list[int]:
        """Return the tokens that the model learns: the completion and the end-of-sequence token."""
        return [*self.completion, EOS]


class Chat:
    """Ministral's tokenizer, from the base model's `tokenizer.json`.

    Raises:
        IntegrityError: the control tokens have other ids than Ministral's.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        got = {token: self._tokenizer.token_to_id(token) for token in CONTROL_IDS}
        if got != CONTROL_IDS:
            raise IntegrityError(
                "the base model's tokenizer is not Ministral's",
                expected=f"control tokens {CONTROL_IDS}",
                got=str(got),
                do="mirror the model named in base_model, with its own tokenizer.json",
            )
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode texts as plain text: the result contains no control ids.

        Equal texts are encoded once, because all system messages of a table are usually equal.
        """
        distinct = list(dict.fromkeys(texts))
        encodings = self._tokenizer.encode_batch_fast(distinct, add_special_tokens=False)
        ids = dict(zip(distinct, (encoding.ids for encoding in encodings), strict=True))
        return [ids[text] for text in texts]

    def turns(
        self, system: Sequence[str], prompts: Sequence[str], completions: Sequence[str]
    ) -> list[Turn]:
        """Encode three columns; return one turn for each row."""
        columns = map(self.encode, (system, prompts, completions))
        return [Turn(*parts) for parts in zip(*columns, strict=True)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without control tokens."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)
