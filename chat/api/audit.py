"""Who changed what: read by the host's service, and by staff in the admin; changed by nobody."""

from typing import Annotated

from litestar import get
from msgspec import Meta

from chat import queries
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import Page
from chat.api.security import ApiRequest, authenticated, service_only
from chat.conf import BIGINT_MAX, USER_ID_MAX_LENGTH
from chat.queries.audit import AuditEntry, AuditFilter
from chat.sql.database import Database

Position = Annotated[int, Meta(ge=0, le=BIGINT_MAX)]


class ListAuditQuery(PageQuery, frozen=True):
    """Which entries to list: those for which all that is given holds."""

    room: (
        Annotated[int, Meta(ge=1, le=BIGINT_MAX, description="Entries about this room.")] | None
    ) = None
    user: (
        Annotated[str, Meta(max_length=USER_ID_MAX_LENGTH, description="Entries about this user.")]
        | None
    ) = None
    actor: (
        Annotated[str, Meta(max_length=USER_ID_MAX_LENGTH + 32, description="What this one did.")]
        | None
    ) = None
    action: Annotated[str, Meta(max_length=32, description="What was done.")] | None = None


class AuditPage(Page[AuditEntry]):
    """A page of the audit."""


@get(
    "/api/audit",
    guards=[authenticated, service_only],
    operation=Operation(query=ListAuditQuery),
)
async def list_audit(request: ApiRequest, database: Database) -> AuditPage:
    """List who changed roles, bans, rooms, reports and words, the newest entry first.

    For the host's service. Query: `room`, `user`, `actor`, `action`, each optional; `limit`, 1 to
    200, default 50; `cursor`, from `next` or `previous`.
    """
    query = parse_query(request, ListAuditQuery)
    part = read_slice(query, Position)
    wanted = AuditFilter(query.room, query.user, query.actor, query.action)
    entries = await database.run(queries.audit.list_audit(wanted, part))
    return make_page(AuditPage, request, part, entries, lambda entry: entry.id)
