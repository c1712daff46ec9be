"""Which tokens of the host were revoked: kept in memory, so that no request asks the database.

A process looks twice a second for what was committed since it last looked, on a connection of its
own. So a revocation is in force in every process within a second, also while all other connections
are in use. Endpoints that answer tokens for Centrifugo are exact: their statement reads the user's
own row (`keep_listeners`).
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec
import structlog

from chat.sql import Call
from chat.sql.database import Database

LOOK_SECONDS = 0.5
"""The time between two looks, which take about a millisecond; half of what is promised."""
LOOK_WITHIN_SECONDS = 2.5
"""A look that takes longer has failed, and the next one begins."""
FIRST_LOOK_SECONDS = 1.0
"""A process that starts waits so long for its first look, and then serves all the same: requests
with a token are answered 503 until there was one."""
STALE_SECONDS = 60.0
"""A process that has not read the revocations for so long, while the database answers its other
calls, is not ready: another one has to take its requests."""
FORGET_SECONDS = 60.0
PAGE = 10_000
NOTHING_SEEN = "1:1:"
"""The text of a snapshot in which no transaction is visible."""
BEGINNING = (0, "")
"""A place before all revocations."""

log = structlog.get_logger(__name__)


class RevocationRow(msgspec.Struct, frozen=True):
    """A revocation that is new since a snapshot, if there is one, and the present snapshot."""

    server: str
    snapshot: str
    changed_in: int | None
    user_id: str | None
    not_before: float | None


def list_revocations(
    seen: str, after: tuple[int, str] = BEGINNING, limit: int = PAGE
) -> Call[list[RevocationRow]]:
    """Return the revocations that were not visible in the snapshot `seen`, after one of them.

    There is at least one row, for the present snapshot.
    """
    parameters = {"seen": seen, "after_change": after[0], "after_user": after[1], "limit": limit}
    return Call("list_revocations", RevocationRow, parameters, list)


@dataclass(slots=True, eq=False)
class Revocations:
    """The revocations as one process knows them."""

    database: Database
    keep_seconds: int | None = None
    """A revocation of tokens that are older is forgotten. None keeps all: 200 bytes for each."""
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when they were all read once. Until then nobody knows which tokens were revoked."""
    _not_before: dict[str, float] = field(default_factory=dict)
    _server: str = ""
    _seen: str = NOTHING_SEEN
    _forget_at: float = 0.0
    _is_late: bool = False
    _read_at: float = -math.inf

    def is_fresh(self, now: float) -> bool:
        """Whether they were read in the last minute; `now`: on the monotonic clock, in seconds."""
        return now - self._read_at < STALE_SECONDS

    @property
    def is_loaded(self) -> bool:
        """Whether they were all read once."""
        return self.loaded.is_set()

    def find_not_before(self, user_id: str) -> float | None:
        """Return from when on this user's tokens are accepted, in seconds since 1970."""
        return self._not_before.get(user_id)

    def note(self, user_id: str, not_before: float) -> None:
        """Put a revocation in force in this process; of two the later one stays."""
        self._not_before[user_id] = max(not_before, self._not_before.get(user_id, not_before))

    async def look(self) -> None:
        """Read what was committed since the last look. Errors: those of `Database.run`."""
        server, seen, after, snapshot = self._server, self._seen, BEGINNING, ""
        while True:
            rows = await self.database.run(
                list_revocations(seen, after), within=LOOK_WITHIN_SECONDS
            )
            if rows[0].server != server:
                # The first look, or one at a server that was restored, promoted or restarted.
                server, seen, after, snapshot = rows[0].server, NOTHING_SEEN, BEGINNING, ""
                continue
            # That of the first page: what is committed while the others are read is for later.
            snapshot = snapshot or rows[0].snapshot
            for row in rows:
                if row.changed_in is not None and row.user_id and row.not_before is not None:
                    self.note(row.user_id, row.not_before)
                    after = (row.changed_in, row.user_id)
            if len(rows) < PAGE:
                break
        self._server, self._seen, self._read_at = server, snapshot, time.monotonic()
        self.loaded.set()
        self._forget()

    async def keep_looking(self) -> None:
        """Look again and again, for ever; what is known stays in force while there is no answer."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - a process without looks would never know
                if not self._is_late:
                    log.warning("revocations_not_read", error=type(error).__name__)
                self._is_late = True
            else:
                if self._is_late:
                    log.info("revocations_read_again")
                self._is_late = False
            await asyncio.sleep(LOOK_SECONDS)

    def _forget(self) -> None:
        if self.keep_seconds is None or time.monotonic() < self._forget_at:
            return
        self._forget_at = time.monotonic() + FORGET_SECONDS
        oldest = time.time() - self.keep_seconds
        self._not_before = {
            user_id: not_before
            for user_id, not_before in self._not_before.items()
            if not_before >= oldest
        }


@asynccontextmanager
async def keep_revocations(
    database: Database, keep_seconds: int | None
) -> AsyncIterator[Revocations]:
    """Keep the revocations up to date until the block ends."""
    revocations = Revocations(database, keep_seconds)
    looking = asyncio.create_task(revocations.keep_looking())
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(revocations.loaded.wait(), FIRST_LOOK_SECONDS)
        yield revocations
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
