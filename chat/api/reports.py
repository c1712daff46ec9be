"""Reports: users make them, the host's service reads and decides them, as staff do in the admin."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from msgspec import Meta

from chat import actions, queries
from chat.actions.reports import NewDecision
from chat.api.bodies import parse_body
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_number, parse_room_id, parse_user_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import WITHOUT_NUL, Page
from chat.api.security import ApiRequest, authenticated, read_caller, service_only
from chat.conf import BIGINT_MAX, REASON_MAX_LENGTH, load_configuration
from chat.errors import InvalidInputError, NotFoundError
from chat.queries.reports import Decision, OwnReport, Report, ReportInContext, Verdict
from chat.sql.database import Database

Reason = Annotated[str, Meta(min_length=1, max_length=REASON_MAX_LENGTH, pattern=WITHOUT_NUL)]
Note = Annotated[str, Meta(max_length=REASON_MAX_LENGTH, pattern=WITHOUT_NUL)]
Id = Annotated[int, Meta(ge=1, le=BIGINT_MAX)]
Position = Annotated[int, Meta(ge=0, le=BIGINT_MAX)]
LATEST = datetime(9999, 12, 31, tzinfo=UTC)
"""A later time has no place in the calendar of every client."""


class ReportMessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a message is reported."""

    reason: Reason


class ReportUserBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a user is reported, and where it happened."""

    reason: Reason
    room_id: Id | None = None


class DecideReportBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is decided about a report."""

    decision: Verdict
    note: Note = ""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    expected: Id | None = None


class ListReportsQuery(PageQuery, frozen=True):
    """Which reports to list."""

    state: Annotated[
        Literal["open", "decided"],
        Meta(
            description="`open`: nobody has decided, the oldest first; `decided`: the newest first."
        ),
    ] = "open"


class ReportPage(Page[Report]):
    """A page of reports."""


@post(
    "/api/rooms/{room_id:str}/messages/{message_id:str}/report",
    guards=[authenticated],
    operation=Operation(
        body=ReportMessageBody,
        example={"reason": "This is an insult."},
        answers={200: "The report that the caller made of this message before."},
        problems=("rate_limited",),
    ),
)
async def report_message(
    request: ApiRequest, room_id: str, message_id: str, body: bytes, database: Database
) -> Response[OwnReport]:
    """Report a message to the staff; nobody else learns of it.

    Body: `reason`, 1 to 500 characters.

    201 with the report; 200 with the first one when the caller reported this message before; 404
    when the caller cannot read the message; 429 when the caller made as many reports as the host
    allows.
    """
    wanted = parse_body(request, body, ReportMessageBody)
    call = actions.reports.report_message(
        parse_room_id(room_id),
        _parse_id(message_id),
        request.user.user_id,
        wanted.reason,
        limit=_find_limit(request),
    )
    reported = await database.run(call)
    return Response(reported.report, status_code=200 if reported.is_duplicate else 201)


@post(
    "/api/users/{user_id:str}/report",
    guards=[authenticated],
    operation=Operation(
        body=ReportUserBody,
        example={"reason": "This is not who the name says."},
        answers={200: "The report that the caller made of this user there before."},
        problems=("not_found", "rate_limited"),
    ),
)
async def report_user(
    request: ApiRequest, user_id: str, body: bytes, database: Database
) -> Response[OwnReport]:
    """Report a user to the staff; nobody else learns of it.

    Body: `reason`, 1 to 500 characters; `room_id`, optional, a room of the caller in which it
    happened. Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`.

    201 with the report, also for a user who never was here: users are the host's; 200 with the
    first one when the caller reported this user there before; 404 when the caller is not a member
    of the room; 429 when the caller made as many reports as the host allows.
    """
    wanted = parse_body(request, body, ReportUserBody)
    call = actions.reports.report_user(
        parse_user_id(user_id),
        wanted.room_id,
        request.user.user_id,
        wanted.reason,
        limit=_find_limit(request),
    )
    reported = await database.run(call)
    return Response(reported.report, status_code=200 if reported.is_duplicate else 201)


@get(
    "/api/reports",
    guards=[authenticated, service_only],
    operation=Operation(query=ListReportsQuery),
)
async def list_reports(request: ApiRequest, database: Database) -> ReportPage:
    """List the reports that nobody has decided about, the oldest first; or those decided.

    For the host's service. Query: `state`, `open` or `decided`, default `open`; `limit`, 1 to 200,
    default 50; `cursor`, from `next` or `previous`.
    """
    query = parse_query(request, ListReportsQuery)
    part = read_slice(query, Position)
    is_open = query.state == "open"
    list_them = (
        queries.reports.list_open_reports if is_open else queries.reports.list_decided_reports
    )
    reports = await database.run(list_them(part))
    return make_page(ReportPage, request, part, reports, lambda report: report.id)


@get(
    "/api/reports/{report_id:str}",
    guards=[authenticated, service_only],
    operation=Operation(problems=("not_found",)),
)
async def read_report(request: ApiRequest, report_id: str, database: Database) -> ReportInContext:
    """Return a report with the messages around it and what was decided.

    For the host's service. `context` has the reported message with up to five before it and five
    after it; `other_reports` counts the other reports of the same user.
    """
    del request
    return await database.run(queries.reports.get_report(_parse_report_id(report_id)))


@post(
    "/api/reports/{report_id:str}/decide",
    guards=[authenticated, service_only],
    operation=Operation(
        body=DecideReportBody,
        example={"decision": "keep", "note": "Rude, and allowed."},
        answers={200: "The same decision, which this request made before."},
        problems=("not_found", "conflict", "room_archived"),
    ),
)
async def decide_report(
    request: ApiRequest, report_id: str, body: bytes, database: Database
) -> Response[Decision]:
    """Decide about a report and do what is decided, in one step.

    For the host's service. Body: `decision`: `keep` changes nothing, `delete` deletes the message's
    text for everyone, `mute` mutes the user in the report's room; `note`, optional, up to 500
    characters, for colleagues; `until`, optional, until when the user is muted, default for ever;
    `expected`: absent or null for an open report; to replace a decision, its id.

    A decision about a message is that of all its open reports. What an earlier decision did is not
    undone by a later one.

    201 with the decision; 200 when the same request is repeated; 404 when there is no such report;
    409 when a colleague was faster: `detail` says who decided what, and nothing was done; 422 when
    the decision cannot be carried out, such as muting a user who has left.
    """
    wanted = parse_body(request, body, DecideReportBody)
    _check_until(wanted)
    call = actions.reports.decide_report(
        read_caller(request),
        _parse_report_id(report_id),
        NewDecision(wanted.decision, wanted.note, wanted.until, wanted.expected),
    )
    decided = await database.run(call)
    return Response(decided.decision, status_code=200 if decided.is_duplicate else 201)


def _check_until(wanted: DecideReportBody) -> None:
    if wanted.until is None:
        return
    if wanted.decision != "mute":
        raise InvalidInputError("until goes with the decision mute only.", pointer="/until")
    if not datetime.now(UTC) < wanted.until <= LATEST:
        raise InvalidInputError(
            "until must be a time in the future; leave it out for ever.", pointer="/until"
        )


def _parse_id(text: str) -> int:
    """Return the id of a path. Anything that is none is a thing that does not exist."""
    number = parse_number(text)
    if not number:
        raise NotFoundError
    return number


def _parse_report_id(text: str) -> int:
    number = parse_number(text)
    if not number:
        raise NotFoundError("There is no such report.")
    return number


def _find_limit(request: ApiRequest) -> str:
    return "" if request.user.is_service else load_configuration().reports_per_user
