"""What cannot be seen is written out, and what can be seen stays as it is."""

import sys
import unicodedata

import pytest

from chat.visible import make_text_visible, make_visible


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\u200bb", "a‹U+200B›b"),
        ("\u202egnp.exe", "‹U+202E›gnp.exe"),
        ("\u2066x\u2069", "‹U+2066›x‹U+2069›"),
        ("a\nb\r\nc\td\x1b[31m\x9b", "a‹U+000A›b‹U+000D›‹U+000A›c‹U+0009›d‹U+001B›[31m‹U+009B›"),
        ("a\U000e0041", "a‹U+E0041›"),
        (" ", "‹U+0020›"),
        ("   ", "‹U+0020›‹U+0020›‹U+0020›"),
        (" a  b ", "‹U+0020›a ‹U+0020›b‹U+0020›"),
        ("a\u00a0b\u3000", "a‹U+00A0›b‹U+3000›"),
        ("\u0301", "‹U+0301›"),
        (" \u0301", "‹U+0020›‹U+0301›"),
        ("a" + "\u0301" * 6, "a" + "\u0301" * 4 + "‹U+0301›‹U+0301›"),
        ("\u3164", "‹U+3164›"),
        ("\u2800\u115f\uffa0\u034f", "‹U+2800›‹U+115F›‹U+FFA0›‹U+034F›"),
        ("user1\ufe0f", "user1‹U+FE0F›"),
        ("\ue000\uffff", "‹U+E000›‹U+FFFF›"),
        ("\u2028\u2029", "‹U+2028›‹U+2029›"),
        ("al\u00adice", "al‹U+00AD›ice"),
    ],
)
def test_what_is_hidden_is_written_out(text: str, shown: str) -> None:
    """Each such character has its number, and a second time changes nothing."""
    assert make_visible(text) == shown
    assert make_visible(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "general",
        "кофе и чай",
        "שלום",
        "مرحبا",
        "한국어",
        "ไทยที่นี่",
        "हिन्दी",
        "Đà Nẵng",
        "e\u0301",
        "❤\ufe0f 🎉",
        "<b>",
    ],
)
def test_what_can_be_seen_stays(text: str) -> None:
    """Names in any script are shown as they are."""
    assert make_visible(text) == text


def test_no_character_of_these_categories_is_left() -> None:
    """Unicode's own categories decide: no control, format, separator or unassigned is shown."""
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] in "CZ" and chr(code) != " ":
            assert make_visible(f"a{chr(code)}b") == f"a‹U+{code:04X}›b"


def test_texts_stay_readable() -> None:
    """Lines, indentation, families of emoji and Persian are kept; direction is not."""
    family = "👩\u200d👩\u200d👧 ❤\ufe0f\n  می\u200cخواهم\r\n\tx"

    assert make_text_visible(family) == family
    assert make_text_visible("\u202eabc\x1b") == "‹U+202E›abc‹U+001B›"
    assert make_text_visible(" \n\u200d") == "‹U+0020›‹U+000A›‹U+200D›"
