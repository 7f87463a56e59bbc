"""Repair the characters of a text: entities, wrongly decoded UTF-8, spaces, line ends.

    cleaned(pl.col("text"))      # an expression: the text in NFC, `\\n` line ends, plain spaces

Clean text is only searched. Damaged texts are repaired one at a time. A character that cannot be
recovered becomes U+FFFD (`LOST`), which stays in the text; a filing or an example that contains it
is rejected with a reason.
"""

import re
import unicodedata
from html.entities import html5

import polars as pl

from steps.prepare.text import markup

LOST = "\ufffd"

_SPACE = r"[\t\x0b\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_SPACES = f"{_SPACE}+"
_INVISIBLE = r"[\u0000-\u0008\u000e-\u001f\u007f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]"
_DAMAGED = r"[\u0080-\u009f\x0c\u0300-\u036f\u2028\u2029\uf0b7ÂÃÄÅÆËÎÏâïð]"
_DAMAGE = rf"&(?:#[0-9xX]|[A-Za-z][A-Za-z0-9]+;|[a-z]{{2,6}})|{_DAMAGED}|<[A-Za-z/!]|>"

# Characters that NFC never changes, in any order: Latin letters, quotation marks, dashes, bullets,
# arrows, signs.
_COMPOSED = r"\x00-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2122\u2190-\u2265\u2500-\u27bf"

# A text without one of these, and without damage after an "&", is clean.
_UNUSUAL = rf"[[^{_COMPOSED}]{_SPACE}{_INVISIBLE}{_DAMAGED}<>\r]"

# Windows-1252 has no sign for five of the bytes 0x80-0x9F; a browser that reads them keeps them as
# control characters.
_WINDOWS = {
    byte: bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in range(0x80, 0xC0)
}
_CONTROLS = {chr(byte): sign for byte, sign in _WINDOWS.items() if byte < 0xA0}
# A soft hyphen is also the byte 0xAD ("í" is 0xC3 0xAD). So the repair keeps it, and `cleaned`
# removes it after the repair.
_HIDDEN = re.compile(_INVISIBLE.replace(r"\u00ad", ""))
_CONTROL = re.compile("[\x80-\x9f]")
_BYTES = {sign: byte for byte, sign in _WINDOWS.items()} | {
    chr(byte): byte for byte in range(0xC0, 0x100)
}


def _signs(*numbers: int) -> str:
    """Return a character class of these bytes as Windows-1252 shows them."""
    return "[" + "".join(re.escape(_WINDOWS[number]) for number in numbers) + "]"


# What may be written behind a real letter: quotation marks, dashes, dots, spaces, trade marks,
# footnote signs.
_BEHIND_LETTERS = {
    0x82, 0x84, 0x85, 0x86, 0x87, 0x91, 0x92, 0x94, 0x96, 0x97, 0x99, 0x9B,
    0xA0, 0xA9, 0xAA, 0xAE, 0xB0, 0xB2, 0xB3, 0xB7, 0xB9, 0xBA, 0xBB,
}  # fmt: skip
_REST = {*range(0x80, 0xC0)}
_RARE = _REST - _BEHIND_LETTERS
# UTF-8 that was read as Windows-1252 or Latin-1: the first byte as a letter, and the bytes that
# follow this letter in no word of a filing.
_SECOND = {
    "Â": _REST,
    "Ã": _RARE,  # `_of_bytes` takes more of them
    "Ä": _RARE,
    "Å": _RARE,
    "Æ": {0x92},
    "Ë": {0x86, 0x9C},
    "Î": {*range(0xB1, 0xC0)},
    "Ï": {*range(0x80, 0x8A)},
    # punctuation, signs, bullets
    "â": {0x80, 0x81, 0x82, 0x84, 0x85, 0x86, 0x88, 0x89, 0x96, 0x97, 0x98, 0x9C},
    "ï": {0x82, 0x83, 0xAC, 0xBB, 0xBF},  # bullets of Symbol, ligatures, byte order mark, U+FFFD
    "ð": {0x9F},
}
# Bytes after 0xE2 0x85; the others are signs that no filing has.
_FRACTIONS = {0x93, 0x94, *range(0x9B, 0x9F)}
_ANY = _signs(*_REST)
_WRONGLY_READ = re.compile(f"[ÂÃÄÅÆËÎÏ]{_ANY}|[âï]{_ANY}{{2}}|ð{_ANY}{{3}}")
_WRONG_LEADS = re.compile("[ÂÃÄÅÆËÎÏâïð]")
# The last byte was lost: a closing quotation mark (0x9D has no sign), a dash whose quotation mark
# was made plain, a space that was made plain.
_CUT_SHORT = re.compile(
    r"(â€\")|(â€\ufffd?)|(Â(?=[\s<]|$))|((?<![A-ZÀ-Þ])Ã(?=[\s<]))", re.MULTILINE
)
_MEANT = ("—", "”", "", "à")
_ENTITY = re.compile(
    r"&(?:amp;)*(?:#(\d{1,7}(?=;)|\d{2,7}|[xX][0-9a-fA-F]{2,6});?|([A-Za-z][A-Za-z0-9]{1,31});"
    "|(nbsp)|(amp|lt|gt|quot|copy|reg|sect|para|middot|[lr][sd]?quo|[mn]dash|bull|hellip|trade)"
    "(?![A-Za-z0-9=;]))"
)
_ANY_CASE = {"nbsp", "rsquo", "lsquo", "rdquo", "ldquo", "mdash", "ndash", "bull", "hellip", "sect"}
_PAGE_END = re.compile(r"([.!?:][\"'”’)]*)?[ \r\n]*\x0c[\r\n]*")
_LAYERS = 6  # more than any text had; it bounds the work on made-up ones


def cleaned(text: pl.Expr) -> pl.Expr:
    """Return the text in NFC, with Unicode quotation marks, plain spaces and `\\n` line ends.

    The result has no entities, markup or invisible characters.
    """
    return text.map_batches(_where_unusual, return_dtype=pl.String)


def _where_unusual(texts: pl.Series) -> pl.Series:
    """Clean the texts that need it: most are found clean in one reading, not in four."""
    unusual = texts.str.contains(_UNUSUAL)
    if texts.str.contains("&", literal=True).any():
        unusual = unusual | texts.str.contains(_DAMAGE)
    rows = unusual.fill_null(value=False).arg_true()
    if rows.is_empty():
        return texts
    some = texts.gather(rows).to_frame("text").select(_cleaned(pl.col("text"))).to_series()
    return texts.clone().scatter(rows, some)


def _cleaned(text: pl.Expr) -> pl.Expr:
    return (
        text.map_batches(_where_damaged, return_dtype=pl.String)
        .str.replace_all("\r\n?", "\n")
        .str.replace_all(_SPACES, " ")
        .str.replace_all(_INVISIBLE, "")
        .map_batches(_composed, return_dtype=pl.String)
    )


def _composed(texts: pl.Series) -> pl.Series:
    """Normalize to NFC only the texts that it can change: it is the slowest step of this module."""
    rows = texts.str.contains(f"[^{_COMPOSED}]").fill_null(value=False).arg_true()
    return (
        texts
        if rows.is_empty()
        else texts.clone().scatter(rows, texts.gather(rows).str.normalize("NFC"))
    )


def _where_damaged(texts: pl.Series) -> pl.Series:
    damaged = texts.str.contains(_DAMAGE).fill_null(value=False).arg_true()
    if damaged.is_empty():
        return texts
    repaired = pl.Series([_repaired(text) for text in texts.gather(damaged)], dtype=pl.String)
    return texts.clone().scatter(
        damaged, repaired.to_frame("text").select(markup.removed(pl.col("text")))["text"]
    )


def _repaired(text: str) -> str:
    """Undo entities and wrongly read bytes, layer by layer; the rest of them becomes `LOST`."""
    for _ in range(_LAYERS):
        before = text
        text = unicodedata.normalize("NFC", _HIDDEN.sub("", text))
        text = _CONTROL.sub(lambda found: _CONTROLS[found[0]], text)
        text = _ENTITY.sub(_of_entity, text) if "&" in text else text
        text = _WRONGLY_READ.sub(_of_bytes, text) if _WRONG_LEADS.search(text) else text
        if text == before:
            break
    if _WRONG_LEADS.search(text):
        text = _CUT_SHORT.sub(_of_rest, text)
    text = (
        _CONTROL.sub(LOST, text)
        .replace("\uf0b7", "•")
        .replace("\u2028", "\n")
        .replace("\u2029", "\n")
    )
    return (
        _PAGE_END.sub(lambda found: f"{found[1]}\n\n" if found[1] else "\n", text)
        if "\x0c" in text
        else text
    )


def _of_entity(found: re.Match[str]) -> str:
    number, name, *bare = found.groups()
    if number:
        code = int(number[1:], 16) if number[0] in "xX" else int(number)
        return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else LOST
    if name is None:
        return html5[(bare[0] or bare[1]) + ";"]
    known = name if f"{name};" in html5 else name.lower() if name.lower() in _ANY_CASE else None
    return (
        html5[f"{known};"]
        if known
        else "&" + found[0].rsplit("&amp;", 1)[-1].rsplit("amp;", 1)[-1].lstrip("&")
    )


def _of_bytes(found: re.Match[str]) -> str:
    signs = found[0]
    numbers = [_BYTES[sign] for sign in signs]
    if numbers[1] == 0xAD:
        return bytes(numbers).decode() if signs[0] in "ÂÃ" and not _is_hyphenated(found) else signs
    known = numbers[1] in _SECOND[signs[0]] and (signs[:2] != "â…" or numbers[2] in _FRACTIONS)
    if not known and not (signs[0] == "Ã" and _is_in_word(found)):
        return signs
    try:
        return bytes(numbers).decode()
    except UnicodeDecodeError:
        return signs


def _is_in_word(found: re.Match[str]) -> bool:
    """Return False if `Ã` ends a word of capitals, as it does in Portuguese ("IRMÃ")."""
    before, after = (
        found.string[found.start() - 1 : found.start()],
        found.string[found.end() : found.end() + 1],
    )
    return not before.isupper() or (found[0][1] not in "\u00a0’" and after.isalpha())


def _is_hyphenated(found: re.Match[str]) -> bool:
    """Return whether a soft hyphen follows a letter of a word of capitals ("CÂ-MARA").

    A single capital is not enough, because it may begin a name ("Aída").
    """
    before, after = (
        found.string[found.start() - 1 : found.start()],
        found.string[found.end() : found.end() + 1],
    )
    return before.isupper() and not after.islower()


def _of_rest(found: re.Match[str]) -> str:
    return _MEANT[(found.lastindex or 1) - 1]  # every alternative is a group
