"""What is looked at before a message is sent: the word list, and what the host says.

All of it happens before the send queue: outside any transaction, and without a lock of the room.
Where there is neither a word nor a host to ask, a message goes straight to the queue.
"""

import msgspec

from chat.actions.messages import NewMessage, SentMessage
from chat.actions.send_queue import SendQueue
from chat.actions.words import report_words
from chat.api.before_send import BeforeSend
from chat.errors import IdempotencyConflictError, NotAMemberError, RefusedContentError
from chat.queries.sent import find_sent
from chat.queries.words import Words
from chat.sql.database import Database


class Screening:
    """Sends messages that the word list and the host accept.

    A message that was accepted once is answered with, whatever the list or the host would say of it
    now: the key is looked up first.
    """

    def __init__(
        self, database: Database, send_queue: SendQueue, words: Words, hook: BeforeSend | None
    ) -> None:
        self._database, self._send_queue = database, send_queue
        self.words, self._hook = words, hook

    @property
    def is_on(self) -> bool:
        """Whether there is a word, or a host to ask."""
        return self.words.rules is not None or self._hook is not None

    async def send(self, message: NewMessage) -> SentMessage:
        """Store the message, with a `*` for each character of a word that is masked.

        Words that are reported are in the queue of reports before this returns. If the process dies
        in between, the message is stored and not reported, until its sender repeats the request,
        which has had no answer.

        Errors: those of `SendQueue.send`; `RefusedContentError`; `CheckUnavailableError`.
        """
        rules = self.words.rules
        found = rules.find(message.content) if rules else {}
        if self._hook is not None or "refuse" in found:
            await self._require_accepted(message, is_refused="refuse" in found)
        if rules is not None and "mask" in found:
            masked = msgspec.structs.replace(message, content=rules.mask(message.content))
        else:
            masked = message
        sent = await self._send_queue.send(masked)
        if "report" in found:
            await self._database.run(report_words(sent.message.id, found["report"]))
        return sent

    async def find_masked(self, message: NewMessage) -> SentMessage:
        """Return the message that has the key, if it can be this text as another list masked it.

        So a list that changes between a request and its repetition makes no conflict of it.

        Errors: `IdempotencyConflictError`.
        """
        call = find_sent(message.room_id, message.user_id, message.client_id)
        stored = (await self._database.run(call)).message
        if stored is None or not _is_masked(stored.content, message.content):
            raise IdempotencyConflictError
        return SentMessage(stored, is_duplicate=True)

    async def _require_accepted(self, message: NewMessage, *, is_refused: bool) -> None:
        earlier = await self._database.run(
            find_sent(message.room_id, message.user_id, message.client_id)
        )
        if earlier.message is not None:
            return
        if not earlier.is_member:
            raise NotAMemberError
        if is_refused:
            raise RefusedContentError(
                "The text contains a word that is not accepted here.", pointer="/content"
            )
        if self._hook is not None:
            await self._hook.require_allowed(message)


def _is_masked(stored: str, sent: str) -> bool:
    """Whether a stored text is the one that was sent, with `*` for some of its characters."""
    return len(stored) == len(sent) and all(
        one in {"*", other} for one, other in zip(stored, sent, strict=True)
    )
