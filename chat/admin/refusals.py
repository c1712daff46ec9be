"""The message for a change that failed."""

from typing import Final

import psycopg
from django.db import Error

from chat.errors import ChatError, RoomBusyError
from chat.sql.errors import find_meaning

REFUSALS: Final = (ChatError, psycopg.Error, Error)
"""What a view catches. `explain` decides which is a refusal and which is a defect."""


def explain(error: Exception) -> str:
    """Return the message to show, or raise the error again where it is a defect.

    The driver raises the errors of the functions; Django wraps those of the ORM.
    """
    if isinstance(error, ChatError):
        return str(error)
    cause = error.__cause__ if isinstance(error, Error) else error
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return "This took too long and was given up. Nothing was changed; ask for less at once."
    meaning = find_meaning(cause) if isinstance(cause, psycopg.Error) else None
    if isinstance(meaning, RoomBusyError):
        return str(meaning)
    raise error
