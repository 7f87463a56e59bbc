"""Known strings of prompt injection: an example that has one is rejected as `prompt_injection`.

This list is the one place for them. Sources: OWASP Top 10 for LLM applications 2025, LLM01 and its
prevention cheat sheet ("typical attack patterns"); the control tokens of the chat templates of
ChatML, Llama 2 and 3, and Mistral. It finds known patterns, not a clever attack. Words that filings
about AI use, such as "prompt injection" or "system prompt" alone, are not in it.
"""

_EARLIER = (
    r"(?:all |any |the |your |these |those )*(?:previous|prior|above|earlier|preceding|system)"
)
_FORGET = "(?:ignore|disregard|forget|override|bypass)"
PATTERNS = (
    rf"{_FORGET} {_EARLIER} (?:instruction|direction|prompt|rule)s?",
    r"(?:ignore|disregard|forget) (?:all|everything) (?:of )?(?:the )?(?:above|before this)",
    r"(?:reveal|print|repeat|show|output) (?:me )?(?:your|the) (?:system|initial|hidden) prompt",
    r"you are now (?:in )?(?:dan|developer mode|jailbroken|an? unrestricted)",
    r"(?:enable|enter|activate) (?:developer|jailbreak|dan|god) mode",
    r"do anything now",
    r"pretend (?:that )?you (?:are|have) (?:no|an?) (?:restriction|unrestricted|limit|rule)s?",
    r"<\|(?:im_start|im_end|endoftext|system|user|assistant)\|>",
    r"<\|(?:begin_of_text|eot_id|start_header_id|end_header_id)\|>",
    r"<</?sys>>",
    r"\[/?(?:inst|system_prompt|available_tools|tool_calls|tool_results)\]",
    r"#{2,3} ?(?:instruction|system prompt|assistant|response):",
)
# ASCII only, so that its letters need no Unicode tables.
ANY = f"(?i-u:{'|'.join(PATTERNS)})"
