"""The tokens of invites: each is a signature, so nothing secret is stored.

A token is the invite's id, the time of its creation, and a signature over both. The time is there
because a database that is restored from a copy gives the ids since then again: a token of before
would lead into another room.

Django signs: with a key that it derives from `SECRET_KEY` for this purpose alone, by HMAC-SHA256.
It compares in constant time, and accepts what was signed with `SECRET_KEY_BEFORE`.
"""

import base64
import binascii
from datetime import UTC, datetime, timedelta

from django.core.signing import BadSignature, Signer

from chat.errors import NotFoundError
from chat.queries.invites import NO_SUCH_INVITE, Invite

TOKEN_LENGTH = 64
"""Characters of a token: 20 for 15 bytes, a point, and 43 for the 32 bytes of the signature."""
_ID_BYTES, _TIME_BYTES = 8, 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _make_signer() -> Signer:
    return Signer(salt="chat.invite", sep=".")


def make_token(invite: Invite) -> str:
    """Return the token of an invite: always the same one while `SECRET_KEY` is the same."""
    moment = (datetime.fromisoformat(invite.created_at) - _EPOCH) // _MICROSECOND
    packed = invite.id.to_bytes(_ID_BYTES) + moment.to_bytes(_TIME_BYTES)
    return _make_signer().sign(base64.urlsafe_b64encode(packed).decode())


def read_token(token: str) -> tuple[int, datetime]:
    """Return the id of an invite, and when it was created, from its token.

    Errors: `NotFoundError`, the same for every text that is no token of this service.
    """
    try:
        packed = base64.urlsafe_b64decode(_make_signer().unsign(token))
    except (BadSignature, binascii.Error, ValueError):
        raise NotFoundError(NO_SUCH_INVITE) from None
    moment = int.from_bytes(packed[_ID_BYTES:])
    return int.from_bytes(packed[:_ID_BYTES]), _EPOCH + moment * _MICROSECOND
