"""Channel names. `chat.personal_channel` writes the same names into member rows."""

import re

from chat.conf import CHANNEL_MAX_BYTES, USER_ID_MAX_LENGTH

NAMESPACE = "personal:"
_ESCAPED = frozenset(b"~#,$*&/%")
# Printable ASCII whose channel is short enough even if every character is escaped. Nearly every id
# is one, and each request has one; the general examination takes 25 times as long.
_PLAIN = re.compile(rf"[ -~]{{1,{(CHANNEL_MAX_BYTES - len(NAMESPACE)) // 3}}}")


def personal_channel(user_id: str) -> str:
    """Return the channel that carries a user's events: one-to-one, ASCII, safe to subscribe to.

    Space, non-ASCII and `~ # , $ * & / %` are written `~hh`, one for each UTF-8 byte: Centrifugo
    refuses non-ASCII names and gives `#`, `,`, `$`, `*`, `&` and `/` meanings of their own.
    """
    return NAMESPACE + "".join(
        chr(byte) if 0x21 <= byte <= 0x7D and byte not in _ESCAPED else f"~{byte:02x}"
        for byte in user_id.encode()
    )


def describe_invalid_user_id(user_id: str) -> str | None:
    """Return what keeps a string from being a user id, or None when it can be one.

    An id is 1 to 128 characters without control characters or lone surrogates, and short enough
    for a channel of 240 bytes. Ids are never normalised: two spellings are two users.
    """
    if _PLAIN.fullmatch(user_id):
        return None
    if not 1 <= len(user_id) <= USER_ID_MAX_LENGTH:
        return f"A user id has 1 to {USER_ID_MAX_LENGTH} characters."
    if any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in user_id):
        return "A user id has no control characters."
    if any(0xD800 <= ord(c) <= 0xDFFF for c in user_id):
        return "A user id has no lone surrogates."
    if len(personal_channel(user_id)) > CHANNEL_MAX_BYTES:
        return f"The user id is too long for a channel name of {CHANNEL_MAX_BYTES} bytes."
    return None
