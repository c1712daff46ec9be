"""How long a page of the admin may wait."""

from collections.abc import Callable

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse

from chat.sql.database import LOCK_TIMEOUT_MS

# Longer than a request of the API may take: adding 1,000 users to a large room is one statement.
STATEMENT_TIMEOUT_MS = 8000

_BOUNDS = f"""
SELECT set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', false),
       set_config('statement_timeout', '{STATEMENT_TIMEOUT_MS}', false),
       set_config('idle_in_transaction_session_timeout', '10000', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('application_name', 'besedka-admin', false)
"""


def _set_bounds(
    sender: type[BaseDatabaseWrapper],  # noqa: ARG001 - the signature of the signal
    connection: BaseDatabaseWrapper,
    **_: object,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_BOUNDS)


class BoundedWaitsMiddleware:
    """In a process that answers requests, no connection waits long for a lock or a statement.

    Only such a process makes middleware, so `migrate` and other commands keep the time they need.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        connection_created.connect(_set_bounds, dispatch_uid="chat.admin.waits")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; the work was done when the process started."""
        return self._get_response(request)
