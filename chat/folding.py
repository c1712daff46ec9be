"""Texts as the word list compares them: without case, marks and confusable letters.

What is written in another case, with accents, with letters of another alphabet that look the same,
or with characters in between that cannot be seen, is the same word. Which characters look the same
is Unicode's own table (UTS 39, confusables.txt), as `confusable_homoglyphs` ships it.
"""

import re
import unicodedata
from collections.abc import Container, Iterator, Mapping

from confusable_homoglyphs.utils import load

SKELETON_MAX_LENGTH = 256
_TOKEN = re.compile(r"[^\W_]+")
_FOLDED_AWAY = frozenset({"Mn", "Me", "Cf"})


class _Folding(dict[int, str]):
    """What becomes of each character, computed when it first comes.

    in_lower_case: whether letters look alike as they are in lower case, or as they are written: a
    Cyrillic word in capitals can look like a Latin one, when it does not in small letters.
    with_symbols: whether a symbol can stand for a letter (`ki|l`), or parts two words (`one|two`).
    """

    def __init__(
        self, confusable: Mapping[str, str], *, in_lower_case: bool, with_symbols: bool
    ) -> None:
        super().__init__()
        self._confusable = confusable
        self._in_lower_case, self._with_symbols = in_lower_case, with_symbols

    def __missing__(self, point: int) -> str:
        characters = unicodedata.normalize("NFKD", chr(point))
        if self._in_lower_case:
            characters = characters.casefold()
        folded = self[point] = "".join(map(self._fold, characters)).casefold()
        return folded

    def _fold(self, character: str) -> str:
        if unicodedata.category(character) in _FOLDED_AWAY:
            return ""
        if character.isalnum() or self._with_symbols:
            return self._confusable.get(character, character)
        return character


class Folder:
    """Folds texts. Making one reads Unicode's table, which takes a tenth of a second."""

    def __init__(self) -> None:
        confusable = _read_confusable()
        self._small, self._written, *others = (
            _Folding(confusable, in_lower_case=in_lower_case, with_symbols=with_symbols)
            for with_symbols in (False, True)
            for in_lower_case in (True, False)
        )
        self._foldings = (self._small, self._written, *others)

    def fold_word(self, word: str) -> str | None:
        """Return what two spellings of a word have in common; None where it is not one word."""
        folded = word.translate(self._small)
        is_one = _TOKEN.fullmatch(folded) and len(folded) <= SKELETON_MAX_LENGTH
        return folded if is_one else None

    def list_looks(self, word: str) -> set[str]:
        """Return what the word can be in a folded text."""
        return {word.translate(self._small), word.upper().translate(self._written)}

    def find(self, text: str, looks: Container[str]) -> set[str]:
        """Return which of these looks of words the text contains as whole words."""
        return {
            token
            for folded in {text.translate(folding) for folding in self._foldings}
            for token in _TOKEN.findall(folded)
            if token in looks
        }

    def mask(self, text: str, looks: Container[str]) -> str:
        """Return the text with a `*` for each character of these words.

        What is within a word and folded away, such as an accent or a character that cannot be seen,
        is masked with it, so the text keeps its length.
        """
        masked = list(text)
        for folding in self._foldings:
            for begin, end in _find_places(text, folding, looks):
                masked[begin:end] = "*" * (end - begin)
        return "".join(masked)


def _find_places(text: str, folding: _Folding, looks: Container[str]) -> Iterator[tuple[int, int]]:
    """Give the places of the words in the text as it was before folding."""
    folded: list[str] = []
    origins: list[int] = []
    for index, character in enumerate(text):
        piece = folding[ord(character)]
        folded.append(piece)
        origins += [index] * len(piece)
    for found in _TOKEN.finditer("".join(folded)):
        if found[0] in looks:
            end = origins[found.end() - 1] + 1
            while end < len(text) and not folding[ord(text[end])]:
                end += 1
            yield origins[found.start()], end


def _read_confusable() -> Mapping[str, str]:
    """Return for each character that looks like others the one, or several, that stand for all.

    In the table each character is named with the one that stands for it, and that one with all that
    it stands for. Of two that are named with each other alone, either may stand for both.
    """
    alike = {
        # Texts from right to left stand there between two marks of direction.
        character.strip("\u200e"): [other["c"].strip("\u200e") for other in others]
        for character, others in load("confusables.json").items()  # type: ignore[no-untyped-call] # it has no types
    }
    chosen: dict[str, str] = {}
    for character, others in alike.items():
        if len(character) == 1 and len(others) == 1:
            (other,) = others
            is_pair = len(other) == 1 and len(alike.get(other, ())) == 1
            chosen[character] = min(character, other) if is_pair else other
    return chosen
