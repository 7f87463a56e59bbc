"""Damaged characters are repaired, and undamaged text stays unchanged."""

import re
import time
import unicodedata

import polars as pl
import pytest

from steps.prepare.text import characters, markup
from steps.prepare.text.characters import LOST, cleaned

SAMPLE = "It’s a “test” – § 5 é í 😭 ñ ü • ™ ® © € ½ … ‘x’ — ≥ ● ◦ ▪ ☐ ✓ à œ fi 😀"


def mend(text: str) -> str:
    return str(pl.DataFrame({"text": [text]}).select(cleaned(pl.col("text"))).item())


def as_windows(content: bytes) -> str:
    """Decode as a browser does: five bytes have no sign and stay control characters."""
    return "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in content)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_utf_8_that_was_read_wrongly_is_undone_in_every_layer(encoding: str, layers: int) -> None:
    text = SAMPLE
    for _ in range(layers):
        text = as_windows(text.encode()) if encoding == "cp1252" else text.encode().decode(encoding)
    assert mend(text) == unicodedata.normalize("NFC", SAMPLE)


@pytest.mark.parametrize(
    "text",
    [
        (
            "château tête août crêpe naïve Noël Zürich Ångström façade señor Peña Núñez São João "
            "IRMÃ DULCE, MAÇÃ” IRMÃ’S"
        ),
        (
            "À la carte, « à » « oui » CAFÉ™ NESCAFÉ® CRÈME… CITROËN’S Citroën’s “pâté” – foie · "
            "Îles Baléares; ÎLE"
        ),
        (
            "AT&T, R&D; S&P 500; Q&A &c. P&L, D&O; Barnes & Noble; Johnson&Johnson; R&register; "
            "M&A, E&amplify, B&B"
        ),
        (
            "5 < 6 and 7 > 6; a <b and c> d; if x<y then z>w; <Company Name>; <$1 million; 3 <= "
            "4; -> <- <=>"
        ),
        "Ω Å Ï Ë Å Ä Ö Æ Ø ð þ ï â Ã",
        "日本語 русский ελληνικά עברית",
    ],
)
def test_real_text_is_not_touched(text: str) -> None:
    assert mend(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&ldquo;x&rdquo; &mdash; &bull; &frac12; &Eacute; &euro;", "“x” — • ½ É €"),
        ("&#8220;x&#x201D; &#X2014; &#38; &#149;", "“x” — & •"),
        ("Item&nbsp1A&nbsp;&NBSP;x", "Item 1A x"),
        ("&copy 2020 &amp more, R&amp;D; AT&amp;T", "© 2020 & more, R&D; AT&T"),
        ("&amp;amp;amp; &amp;#8217; &amp;lt;p&amp;gt;x", "& ’ \n\nx"),
        ("&unknown; &D; &;", "&unknown; &D; &;"),
        ('â€œxâ€ y â€\ufffd z â€" w', "“x” y ” z — w"),
        ("Item 1A.Â Risk, voilÃ\u00a0 la, 5Â°, ACMEÂ®", "Item 1A. Risk, voilà la, 5°, ACME®"),
        ("CÃ“RDOBA SOCIÃ‰TÃ‰ MÃœNCHEN GÃ©nÃ©rale Å“uvre", "CÓRDOBA SOCIÉTÉ MÜNCHEN Générale œuvre"),
        ("ï»¿x ï‚· y \uf0b7 z", "x • y • z"),
        (
            "MartÃ\u00adn, BrasÃ\u00adlia, AÃ\u00adda, Ã\u00adndice, MartÃ&shy;n, MartÃƒÂ\u00adn",
            "Martín, Brasília, Aída, índice, Martín, Martín",
        ),
        (
            "inÂ\u00adter, in\u00adter CÂ\u00adMARA, MANHÃ\u00adS, LÄ\u00adRM, chÃ¢\u00adteau",
            "inter, inter CÂMARA, MANHÃS, LÄRM, château",
        ),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("end.\n\x0cNext", "end.\n\nNext"),
        ("in\r\n\x0c\r\nOhio", "in\nOhio"),
    ],
)
def test_damaged_text_is_repaired(text: str, expected: str) -> None:
    assert re.sub(" +", " ", mend(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a\ufffdb",
        "a\u0081b",
        "a\u009db",
        "a&#129;b",
        "a&#0;b",
        "a&#xD800;b",
        "a&#1114112;b",
        "aï¿½b",
    ],
)
def test_what_is_lost_stays_visible(text: str) -> None:
    assert mend(text) == f"a{LOST}b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<p style="margin:0">one</p><br/>two<BR>three', "\n\none\n\n\ntwo\nthree"),
        ("<table border=1 nowrap><tr><td>a</td><td>b</td></tr></table>", "\n\n\n\n a  b \n\n\n\n"),
        ("<font face='Times' size=2>x</font><sup>1</sup> <a href=\"#toc\">y</a>", "x1 y"),
        ("<ix:header><ix:hidden>no</ix:hidden></ix:header>a<xbrli:unit id='x'>b</xbrli:unit>",
            "\n\nab"),
        ("<!-- no --><style>p {}</style><script>x < 1</script>a", "\n\n\n\n\n\na"),
        ("&lt;div&gt;a&lt;/div&gt;", "\n\na\n\n"),
        ("text <font style=\"color", "text "),
        ('margin-left:5px">text', "text"),
    ],
)  # fmt: skip
def test_markup_is_removed(text: str, expected: str) -> None:
    assert mend(text).strip("\n ") == expected.strip("\n ")
    assert mend(text).count("\n") <= expected.count("\n")


@pytest.mark.parametrize(
    ("text", "left"), [("a <font style=x", True), ("a <ix:num b", True), ("a < b, c > d", False)]
)
def test_a_tag_that_remains_is_seen(text: str, *, left: bool) -> None:
    assert pl.DataFrame({"text": [text]}).select(markup.left(pl.col("text"))).item() is left


def test_what_is_not_normalized_is_in_nfc_by_itself() -> None:
    signs = re.findall(f"[{characters._COMPOSED}]", "".join(map(chr, range(0x3000))))
    assert len(signs) > 1500
    assert [
        sign
        for sign in signs
        if not unicodedata.is_normalized("NFC", sign) or unicodedata.combining(sign)
    ] == []


@pytest.mark.parametrize(
    "piece", ["&amp;", "&", "<", "â€", "Ã", "<style>", "<!--", '<p a="', "\x0c ", "&#", "&amp;amp"]
)
def test_made_up_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        mend(piece * count)
        return time.process_time() - began

    seconds(1_000)  # patterns are compiled once
    assert seconds(80_000) < 20 * max(seconds(10_000), 0.02)


def test_a_text_that_is_found_clean_is_one_that_no_rule_changes() -> None:
    letters = [chr(code) for code in range(0x3100) if not 0xD800 <= code < 0xE000]
    letters += [chr(code) for code in range(0xE000, 0x10000)] + ["😀", "é", "e\u0301", "&", "&amp;"]
    texts = pl.DataFrame({"text": [f"We {each}x {each} R&D" for each in letters]})
    text = pl.col("text")
    found = texts.select("text", one=cleaned(text), all=characters._cleaned(text))
    assert found.filter(pl.col("one") != pl.col("all"))["text"].to_list() == []
    assert found.filter(pl.col("one") != text).height > 100, "some are changed"
