"""Keeping the users to whom events are published: those who can be listening.

No token is answered before its user's row is durable. After a lapse it also waits until every
change has ended that could have missed the row; functions/listeners.sql has the proof. Requests
share their statements, so a thousand users who return at once cost a few of them.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from chat.errors import DatabaseUnavailableError
from chat.sql import Call, read_single_row
from chat.sql.database import ANSWER_SECONDS, Database

KEEP_BATCH = 500
"""The most users in one statement."""
LOOK_SECONDS = 0.005
"""The time between two looks at the running changes. A send runs for about 2 ms."""
PRUNE_BATCH = 10_000
PRUNE_DAYS = 2
"""A row is kept this long after it ran out: until then `is_resuming` depends on it."""


class Listener(msgspec.Struct, frozen=True):
    """A user's row; see chat/sql/functions/listeners.sql."""

    user_id: str
    until: datetime
    is_settled: bool
    is_resuming: bool
    not_before: float | None = None
    """From when on the user's tokens of the host are accepted, in seconds since 1970; None for a
    user of whom none was revoked."""


class _Id(msgspec.Struct, frozen=True):
    id: str


class _Count(msgspec.Struct, frozen=True):
    settled: int


class _Pruned(msgspec.Struct, frozen=True):
    pruned: int


def keep_listeners(user_ids: Sequence[str], seconds: int) -> Call[list[Listener]]:
    """Make the users listeners for at least so many seconds from now; return their rows."""
    return Call("keep_listeners", Listener, {"user_ids": list(user_ids), "seconds": seconds}, list)


def list_running_writes() -> Call[set[str]]:
    """Return the ids of the API's transactions that may have changed something."""
    return Call("list_running_writes", _Id, {}, lambda rows: {row.id for row in rows})


def settle_listeners(listeners: Iterable[Listener]) -> Call[int]:
    """Record that nothing can have missed these rows any more; return how many were changed."""
    rows = list(listeners)
    parameters = {"user_ids": [row.user_id for row in rows], "untils": [row.until for row in rows]}
    return Call("settle_listeners", _Count, parameters, lambda rows: read_single_row(rows).settled)


def prune_listeners(limit: int = PRUNE_BATCH) -> Call[int]:
    """Delete up to `limit` users who stopped listening days ago; return how many."""
    parameters = {"days": PRUNE_DAYS, "limit": limit}
    return Call("prune_listeners", _Pruned, parameters, lambda rows: read_single_row(rows).pruned)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A row that is not settled, and the requests that wait for it."""

    row: Listener
    answers: list[asyncio.Future[Listener]]
    writes: set[str] | None = None
    """Those of the changes that ran at the first look after the row's commit, and still run."""


@dataclass(slots=True, eq=False)
class Listeners:
    """Keeps the listeners of one API process."""

    database: Database
    seconds: int
    """How long a row lasts at least, counted from each token."""
    _asking: dict[str, list[asyncio.Future[Listener]]] = field(default_factory=dict)
    _waiting: list[_Waiting] = field(default_factory=list)
    _keeping: asyncio.Task[None] | None = None
    _looking: asyncio.Task[None] | None = None

    async def keep_listener(self, user_id: str, within: float = ANSWER_SECONDS) -> Listener:
        """Return when a token of this user may be answered: no later event can miss the user.

        Errors: `DatabaseUnavailableError`, also where a change runs for longer than `within`
        seconds.
        """
        answer = asyncio.get_running_loop().create_future()
        self._asking.setdefault(user_id, []).append(answer)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
        try:
            return await asyncio.wait_for(answer, within)
        except TimeoutError:
            raise DatabaseUnavailableError(
                "A change of a room is still being written. Ask for the token again."
            ) from None

    async def _keep(self) -> None:
        """Write the rows of all who ask, batch after batch, and answer those that are settled."""
        try:
            while self._asking:
                user_ids = list(self._asking)[:KEEP_BATCH]
                asked = {user_id: self._asking.pop(user_id) for user_id in user_ids}
                try:
                    rows = await self.database.run(keep_listeners(user_ids, self.seconds))
                except Exception as error:  # noqa: BLE001 - each request reports it
                    _refuse(error, asked.values())
                    continue
                for row in rows:
                    if row.is_settled:
                        _answer(row, asked[row.user_id])
                    else:
                        self._waiting.append(_Waiting(row, asked[row.user_id]))
                if self._waiting and self._looking is None:
                    self._looking = asyncio.create_task(self._look())
        finally:
            self._keeping = None

    async def _look(self) -> None:
        """Look at the running changes, again and again, until nobody waits."""
        try:
            while self._waiting:
                # Rows that are committed while the statement runs are for the next look.
                looked_for, settled = list(self._waiting), []
                try:
                    running = await self.database.run(list_running_writes())
                    for item in looked_for:
                        item.writes = running if item.writes is None else item.writes & running
                    settled = [item for item in looked_for if not item.writes]
                    if settled:
                        await self.database.run(settle_listeners(item.row for item in settled))
                except Exception as error:  # noqa: BLE001 - each request reports it
                    _refuse(error, (item.answers for item in looked_for))
                for item in settled:
                    _answer(item.row, item.answers)
                self._waiting = [item for item in self._waiting if _is_awaited(item.answers)]
                await asyncio.sleep(LOOK_SECONDS if self._waiting else 0)
        finally:
            self._looking = None


def _is_awaited(answers: Sequence[asyncio.Future[Listener]]) -> bool:
    return not all(answer.done() for answer in answers)


def _answer(row: Listener, answers: Sequence[asyncio.Future[Listener]]) -> None:
    for answer in answers:
        if not answer.done():  # the request ran out of time, or its client has gone
            answer.set_result(row)


def _refuse(error: Exception, all_answers: Iterable[Sequence[asyncio.Future[Listener]]]) -> None:
    for answers in all_answers:
        for answer in answers:
            if not answer.done():
                answer.set_exception(error)
