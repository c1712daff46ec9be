"""Deleting rooms: for everyone at once, and their rows in small steps beside the requests."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import structlog

from chat.actions.caller import Caller
from chat.errors import NotFoundError, ServiceRightsRequiredError
from chat.queries.room_deletions import (
    RoomDeletion,
    decode_room_deletion,
    is_room_deletion_open,
)
from chat.sql import Call, read_single_row
from chat.sql.database import Database, open_database

LOOK_SECONDS = 5.0
"""After so long a process finds the deletions that another one left when it ended."""
STEP_ROWS = 1000
"""Rows of the first step. Measured on two cores that were in use: 10,000 rows take 7 ms."""
STEP_ROWS_MOST = 10_000
STEP_SECONDS = 0.05
"""How long a step is meant to take: the next one has more rows, or fewer. A quarter of what is
promised, because a machine can be busy."""
PAUSE_SECONDS = 0.05
"""Between two steps, so that requests and vacuum have at least half of the time."""

log = structlog.get_logger(__name__)


class _DeleteRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/room_deletions.sql."""

    outcome: str
    receipt: str | None


class Step(msgspec.Struct, frozen=True):
    """What a step did; see chat/sql/functions/room_deletions.sql."""

    outcome: str
    room_id: int | None

    @property
    def is_last(self) -> bool:
        """Whether nothing is left to do for this session."""
        return self.outcome in {"nothing", "busy"}


def delete_room(caller: Caller, room_id: int) -> Call[RoomDeletion]:
    """End a room for everyone, and send its members its last event; repeating it changes nothing.

    Its messages and its log are deleted by `continue_room_deletion`, step by step.

    Errors: `NotFoundError`; `ServiceRightsRequiredError` where the caller is a user.
    """
    return Call(
        "delete_room",
        _DeleteRow,
        {"by": caller.to_json(), "room_id": room_id},
        _read_deleted,
        publishes=True,
        lock=room_id,
    )


def continue_room_deletion(limit: int = STEP_ROWS) -> Call[Step]:
    """Delete at most `limit` rows of rooms that were deleted, in one short transaction."""
    return Call("continue_room_deletion", Step, {"limit": limit}, read_single_row)


def choose_limit(limit: int, seconds: float) -> int:
    """Return how many rows the next step has, after one of `limit` that took so long."""
    wanted = int(limit * min(2.0, STEP_SECONDS / max(seconds, 0.001)))
    return min(max(wanted, STEP_ROWS // 10), STEP_ROWS_MOST)


@dataclass(slots=True, eq=False)
class RoomDeletions:
    """Deletes the rows of deleted rooms in one API process, as long as no other one does.

    `url`: of the database. A connection is opened while there is work. `database`: where it is
    looked for.
    """

    database: Database
    url: str
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _is_failing: bool = False

    def start_soon(self) -> None:
        """Begin without waiting for the next look: a room was deleted."""
        self._due.set()

    async def keep_deleting(self) -> None:
        """Look for work again and again, for ever."""
        while True:
            try:
                if await self.database.run(is_room_deletion_open()):
                    await self._delete()
            except Exception as error:  # noqa: BLE001 - the next look may find the database
                if not self._is_failing:
                    log.warning("room_deletion_failed", error=str(error) or type(error).__name__)
                self._is_failing = True
            else:
                self._is_failing = False
            try:
                await asyncio.wait_for(self._due.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue
            self._due.clear()

    async def _delete(self) -> None:
        limit = STEP_ROWS
        async with open_database(self.url, 1, application_name="besedka-deletions") as own:
            while True:
                began = time.monotonic()
                step = await own.run(continue_room_deletion(limit))
                limit = choose_limit(limit, time.monotonic() - began)
                if step.outcome == "finished":
                    log.info("room_deleted", room_id=step.room_id)
                if step.is_last:
                    return
                await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def keep_deleting_rooms(database: Database, url: str) -> AsyncIterator[RoomDeletions]:
    """Delete the rows of deleted rooms until the block ends; a step that runs then is undone."""
    deletions = RoomDeletions(database, url)
    deleting = asyncio.create_task(deletions.keep_deleting())
    try:
        yield deletions
    finally:
        deleting.cancel()
        await asyncio.gather(deleting, return_exceptions=True)


def _read_deleted(rows: list[_DeleteRow]) -> RoomDeletion:
    row = read_single_row(rows)
    if row.outcome == "service_required":
        raise ServiceRightsRequiredError
    if row.receipt is None:
        raise NotFoundError
    return decode_room_deletion(row.receipt)
