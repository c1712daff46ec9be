"""What an error of the driver means to a caller: the one table of it."""

from psycopg import Error, OperationalError
from psycopg import errors as driver
from psycopg_pool import PoolTimeout

from chat.errors import ChatError, DatabaseUnavailableError, RoomBusyError

ROLLED_BACK = (driver.DeadlockDetected, driver.SerializationFailure)
"""PostgreSQL rolled the transaction back, so nothing of it was done and it may be run again."""

# The first row that fits decides. Anything else is a defect of this service.
_MEANINGS: tuple[tuple[tuple[type[Error], ...], type[ChatError]], ...] = (
    ((driver.LockNotAvailable, *ROLLED_BACK), RoomBusyError),
    # Refused, terminated, timed out, disk full, read-only: nothing that a caller could mend.
    ((OperationalError, driver.ReadOnlySqlTransaction, PoolTimeout), DatabaseUnavailableError),
)


def find_meaning(error: Error) -> ChatError | None:
    """Return what a driver's error means to a caller, or None for a defect of this service."""
    for kinds, meaning in _MEANINGS:
        if isinstance(error, kinds):
            return meaning()
    return None


def was_too_long(error: ChatError) -> bool:
    """Return whether PostgreSQL stopped the statement at `statement_timeout`: nothing was done."""
    return isinstance(error.__cause__, driver.QueryCanceled)
