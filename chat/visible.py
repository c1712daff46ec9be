"""Texts of users as a reader has to see them: nothing in them is hidden."""

import unicodedata

MARKS_MAX = 4
"""How many combining marks in succession are shown as they are; more would cover other lines."""
# What Unicode draws as nothing or as an empty place although its category is a letter, a symbol or
# a mark: fillers of Hangul, a blank of Braille, joiners, selectors of Mongolian and of ideographs.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
# They choose how a symbol is drawn, such as an emoji in colour; after a letter they are invisible.
_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
# Non-joiner, joiner, and the two selectors of emoji.
_OF_TEXTS = " \t\r\n\u200c\u200d\ufe0e\ufe0f"


def make_visible(text: str, *, keep: str = "") -> str:
    """Return the text with each character that cannot be seen written as `‹U+200B›`.

    These are: controls, formats (zero width, direction, tags), separators other than single spaces
    between words, unassigned and private characters, fillers, selectors without a symbol before
    them, and combining marks without a letter before them or beyond `MARKS_MAX` in succession. So
    no text looks like another by what is hidden in it, is empty to the eye, or turns around what
    stands beside it. `keep`: characters to leave as they are, such as line breaks.

    What was made visible stays as it is when it is made visible again.
    """
    if text.isascii() and text.isprintable() and text == " ".join(text.split()):
        return text
    shown: list[str] = []
    before, marks = "", 0
    last = len(text) - 1
    for index, character in enumerate(text):
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if character in keep:
            shown.append(character)
            before = "" if character.isspace() else before
        elif _is_unseen(character, category, before, marks, is_last=index == last):
            shown.append(f"‹U+{ord(character):04X}›")
            before, marks = "", 0
        else:
            shown.append(character)
            before = category
    return "".join(shown)


def make_text_visible(text: str) -> str:
    """Return a text of several lines in the same way, but readable.

    Line breaks and spaces stay, and so do the joiners and selectors of emoji and of scripts that
    need them, unless there is nothing else to see.
    """
    if all(character in _OF_TEXTS for character in text):
        return make_visible(text)
    return make_visible(text, keep=_OF_TEXTS)


def _is_unseen(character: str, category: str, before: str, marks: int, *, is_last: bool) -> bool:
    """Whether a reader misses the character after one of the category `before`; "" is none."""
    if character == " ":
        return is_last or before in {"", "Zs"}
    if character in _BLANK or category[0] in "CZ":
        return True
    if character in _SELECTORS:
        return before not in {"So", "Sm"}
    return category[0] == "M" and (before in {"", "Zs"} or marks > MARKS_MAX)
