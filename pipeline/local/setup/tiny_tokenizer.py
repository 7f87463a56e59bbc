"""The tokenizer of the tiny base model: byte-level BPE with tekken's pattern and control tokens.

    write_tokenizer(folder, built_in_text(), vocabulary=1024)

The ids 0 to 19 are tekken's control tokens, so Train's checks of ids and chat format hold for the
tiny model too. The remaining ids are the 256 bytes and the merges learned from `text`.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path

# mistral-common's v13 tekken, ids 0 to 19
CONTROL_TOKENS = """
<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS]
[TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT]
[/SYSTEM_PROMPT] [TOOL_CONTENT]
""".split()  # noqa: SIM905 - one token after the other reads better than a list of strings
# How tekken splits text before byte-pair encoding; every digit is a token.
TEKKEN_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{%- if message['role'] == 'system' %}\
{{- '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}
{%- elif message['role'] == 'user' %}{{- '[INST]' + message['content'] + '[/INST]' }}
{%- elif message['role'] == 'assistant' %}{{- message['content'] + eos_token }}
{%- else %}\
{{- raise_exception('expected system, user or assistant, got ' + message['role']) }}\
{%- endif %}
{%- endfor %}
"""
# The words that filings use most, the most frequent first.
WORDS = """
the and our of to in or we may could be for as are business on that products other with have
financial these which operations results from not by if us including is any such future ability
significant will customers adversely an affect costs market changes new stock subject laws also at
increase certain impact operating sales can their rights risks factors product price condition
property revenue additional assets this time cost services markets information regulations demand
more economic intellectual company consumer conditions common tax value technologies some foreign
would do reduce debt than third material employees related continue prices harm cash under
management due technology all effect failure acquisitions data control revenues increased loss
supply customer rates capital development able well credit companies interest there use it
regulatory requirements competitors systems terms contracts required no unable those negatively
states maintain international obtain suppliers claims litigation general make over successfully
parties experience global existing number profitability potential key generally investments
compete industry million based significantly decline security negative develop has year
substantial change obligations against benefits competitive service into personnel through term
success trade protection resources countries losses agreements distribution many income one incur
actions various expenses competition cause meet materially government levels sell activities
transactions liabilities anticipated include but federal provide events reputation been
performance difficult current relationships production cannot impairment they lower manufacturing
extent expected growth stockholders depend period past shares higher limited investment
disruptions upon reporting net pay fluctuations when purchase were efforts legal while exchange
restrictions insurance successful volatility comply highly report plans networks depends protect
liability example earnings sufficient inventory currency notes effective others long damage state
amount privacy process attract uncertainties because brands dependent software strategic providers
materials strategy similar prevent retain access policies opportunities who amounts outside
alternative annual timely proprietary disruption however patents practices respond delays
acceptance fiscal percent approximately total compared primarily prior quarter ended increased
decreased
"""


def built_in_text() -> list[str]:
    """Return 2,000 sentences of filing-like words, as text to learn the merges from.

    The words follow Zipf's law, flattened at its head. The sentences mean nothing.
    """
    words, draw = WORDS.split(), random.Random(0)  # noqa: S311 - reproducible, not secret
    weights = [1 / (rank + 10) for rank in range(len(words))]
    sentences = []
    for _ in range(2000):
        picked = draw.choices(words, weights, k=draw.randint(8, 30))
        figures = f"${draw.randint(1, 999)} million in fiscal {draw.randint(1994, 2024)}"
        sentences.append(f"{picked[0].capitalize()} {' '.join(picked[1:])}, {figures}.")
    return sentences


def write_tokenizer(folder: Path, text: list[str], vocabulary: int) -> None:
    """Train a tokenizer of `vocabulary` tokens on `text` and write its files and chat template."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(TEKKEN_PATTERN), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[
            AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS
        ],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text, trainer)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
    }
    write_json(folder / "special_tokens_map.json", names)
    write_json(folder / "tokenizer_config.json", names | settings)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write an indented JSON document that ends with a line feed."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
