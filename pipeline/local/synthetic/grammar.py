"""A small grammar: rules with slots that a seed expands to sentences.

    rules = {"sentence": ("{who} may {what}.",), "who": ("Customers",), "what": ("leave", "wait")}
    write = Grammar(rules)
    write("sentence", draw, {})         # 'Customers may wait.'
    write("sentence", draw, {"who": "Banks"})

A slot is filled from the caller's words first, then from the rule of its name, which may have slots
too. A slot that starts with a capital letter (`{Who}`) is the same one at the start of a sentence.
"""

import re
from collections.abc import Mapping, Sequence

from pipeline.local.synthetic.draw import Draw

_SLOT = re.compile(r"\{(\w+)\}")

# Alternating: plain text, slot, plain text, …
_Parts = tuple[str, ...]


class Grammar:
    """Rules by name; each is a choice of texts with slots."""

    def __init__(self, rules: Mapping[str, Sequence[str]]) -> None:
        self._rules: dict[str, tuple[_Parts, ...]] = {
            name: tuple(tuple(_SLOT.split(text)) for text in texts) for name, texts in rules.items()
        }

    def __call__(self, rule: str, draw: Draw, words: Mapping[str, str]) -> str:
        """One text of the rule with every slot filled."""
        return self._filled(draw.of(self._rules[rule]), draw, words)

    def fill(self, text: str, draw: Draw, words: Mapping[str, str]) -> str:
        """A text of the caller's with every slot filled."""
        return self._filled(tuple(_SLOT.split(text)), draw, words)

    def _filled(self, parts: _Parts, draw: Draw, words: Mapping[str, str]) -> str:
        if len(parts) == 1:
            return parts[0]
        written = list(parts)
        for place in range(1, len(parts), 2):
            written[place] = self._slot(parts[place], draw, words)
        return "".join(written)

    def _slot(self, name: str, draw: Draw, words: Mapping[str, str]) -> str:
        known = words.get(name)
        if known is not None:
            return known
        rule = self._rules.get(name)
        if rule is not None:
            return self._filled(draw.of(rule), draw, words)
        small = self._slot(name[0].lower() + name[1:], draw, words)
        return small[0].upper() + small[1:]
