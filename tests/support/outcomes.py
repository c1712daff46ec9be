"""What became of a message that a test sent."""

from chat.actions.messages import SentMessage
from chat.errors import ChatError


def name_outcome(sent: SentMessage | ChatError) -> str:
    """Return `sent`, `duplicate`, or the code of the error."""
    if isinstance(sent, ChatError):
        return sent.code
    return "duplicate" if sent.is_duplicate else "sent"


def require_sent(sent: SentMessage | ChatError) -> SentMessage:
    """Return the stored message; fail where there is an error instead."""
    assert isinstance(sent, SentMessage), sent
    return sent
