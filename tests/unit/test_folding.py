"""Which spellings are one word, and what is masked of a text."""

import pytest

from chat.folding import Folder

FOLDER = Folder()


@pytest.mark.parametrize(
    "word, spelling",
    [
        ("darn", "DARN"),
        ("darn", "dárn"),
        ("darn", "da\u0301rn"),
        ("darn", "d\u0336a\u0337r\u0336n"),
        ("darn", "ｄａｒｎ"),
        ("darn", "𝓭𝓪𝓻𝓷"),
        ("darn", "dаrn"),  # a Cyrillic letter
        ("darn", "d\u200bar\u00adn"),
        ("darn", "da\u202ern"),
        ("kill", "ki|l"),
        ("kill", "kiII"),
        ("kill", "k1ll".replace("1", "i")),
        ("cool", "c00l"),
        ("cool", "ⅽοοⅼ"),
        ("ёлка", "елка"),
        ("сука", "СУКА"),
        ("сука", "CYKA"),  # Latin capitals
        ("straße", "STRASSE"),
        ("ﬁn", "fin"),
    ],
)
def test_spellings_are_found(word: str, spelling: str) -> None:
    """Case, marks, look-alikes and what cannot be seen make no other word."""
    looks = FOLDER.list_looks(word)

    for text in (spelling, f"oh {spelling}!", f"«{spelling}»,\n{spelling}"):
        assert FOLDER.find(text, looks), text
        assert set(FOLDER.mask(text, looks)) <= set("*oh! «»,\n")
        assert len(FOLDER.mask(text, looks)) == len(text)


@pytest.mark.parametrize("text", ["darning", "undarn", "dar n", "da-rn", "barn", "", "日本", "42"])
def test_other_words_are_not_found(text: str) -> None:
    """A word is found as a whole only."""
    looks = FOLDER.list_looks("darn")

    assert FOLDER.find(text, looks) == set()
    assert FOLDER.mask(text, looks) == text


def test_what_stands_around_a_word_stays() -> None:
    """Only the word's own characters become `*`."""
    looks = FOLDER.list_looks("darn") | FOLDER.list_looks("heck")

    masked = FOLDER.mask("Oh Da\u0301rn: darn_it|heck, hecks 😀heck", looks)

    assert masked == "Oh *****: ****_it|****, hecks 😀****"


@pytest.mark.parametrize("word", ["", " ", "two words", "c++", "_", "a_b", "\u200b", "\x00", "😀"])
def test_what_is_not_one_word_is_refused(word: str) -> None:
    """Such a word would never be found."""
    assert FOLDER.fold_word(word) is None


def test_every_character_folds_to_something_stable() -> None:
    """What is folded once is not changed by folding it again."""
    for point in [*range(0xD800), *range(0xE000, 0x20000)]:
        folded = FOLDER.fold_word(chr(point))
        if folded is not None:
            assert FOLDER.fold_word(folded) is not None
