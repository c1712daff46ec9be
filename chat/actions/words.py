"""Changing the word list, and reporting what it finds."""

from collections.abc import Iterable

import msgspec

from chat.actions.caller import Caller
from chat.conf import REASON_MAX_LENGTH, WORDS_MOST
from chat.errors import InvalidInputError, LimitReachedError
from chat.queries.words import Action
from chat.sql import Call, read_single_row


class _Row(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/words.sql."""

    outcome: str


def put_word(by: Caller, word: str, skeleton: str, action: Action) -> Call[bool]:
    """Put a word on the list, or change its action; return whether it is new there.

    `skeleton`: as `chat.folding.Folder.fold_word` returns it. Errors: `LimitReachedError`.
    """
    parameters = {
        "by": by.to_json(),
        "word": word,
        "skeleton": skeleton,
        "action": action,
        "most": WORDS_MOST,
    }
    return Call("put_word", _Row, parameters, _read_put)


def delete_word(by: Caller, skeleton: str) -> Call[bool]:
    """Take a word off the list; return whether it was there."""
    parameters = {"by": by.to_json(), "skeleton": skeleton}
    return Call(
        "delete_word", _Row, parameters, lambda rows: read_single_row(rows).outcome == "deleted"
    )


def report_words(message_id: int, words: Iterable[str]) -> Call[None]:
    """Put a message into the queue of reports for the words in it; repeating it changes nothing."""
    reason = ", ".join(sorted(words))[:REASON_MAX_LENGTH]
    parameters = {"message_id": message_id, "words": reason}
    return Call("report_words", _Row, parameters, lambda _: None)


def _read_put(rows: list[_Row]) -> bool:
    outcome = read_single_row(rows).outcome
    if outcome == "limit_reached":
        raise LimitReachedError(f"The list has {WORDS_MOST:,} words, as many as it can have.")
    if outcome == "invalid":
        raise InvalidInputError("This cannot be a word of the list.", pointer="word")
    return outcome == "added"
