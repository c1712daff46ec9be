"""Reporting messages and users, and deciding about reports."""

from datetime import datetime
from typing import NoReturn

import msgspec

from chat.actions.caller import Caller
from chat.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    RoomArchivedError,
)
from chat.queries.reports import Decision, OwnReport, Verdict
from chat.sql import Call, read_single_row


class Reported(msgspec.Struct, frozen=True):
    """The report, and whether the same user had made it before."""

    report: OwnReport
    is_duplicate: bool


class Decided(msgspec.Struct, frozen=True):
    """The decision, and whether the same request had made it before."""

    decision: Decision
    is_duplicate: bool


class NewDecision(msgspec.Struct, frozen=True):
    """What is to be decided about a report."""

    decision: Verdict
    note: str = ""
    until: datetime | None = None
    """Until when the user is muted; None is for ever."""
    expected: int | None = None
    """The last decision, which this one replaces; None where the report is open."""


class _ReportRow(msgspec.Struct, frozen=True):
    """The outcome of a report; see chat/sql/functions/reports.sql."""

    outcome: str
    report: str | None
    retry_after: float | None


class _DecisionRow(msgspec.Struct, frozen=True):
    """The outcome of a decision; see chat/sql/functions/reports.sql."""

    outcome: str
    decision: str | None


def report_message(
    room_id: int, message_id: int, reported_by: str, reason: str, *, limit: str
) -> Call[Reported]:
    """Report a message that the user can read; repeating it returns the report as it was made.

    `limit`: how many reports a user may make, like `20/86400`; empty for any number. Errors:
    `NotFoundError`, `RateLimitedError`.
    """
    parameters = {
        "room_id": room_id,
        "message_id": message_id,
        "reported_by": reported_by,
        "reason": reason,
        "reports_per_user": limit,
    }
    return Call("report_message", _ReportRow, parameters, _read_reported)


def report_user(
    user_id: str, room_id: int | None, reported_by: str, reason: str, *, limit: str
) -> Call[Reported]:
    """Report a user, in a room of the one who reports or in none; as for `report_message`."""
    parameters = {
        "user_id": user_id,
        "room_id": room_id,
        "reported_by": reported_by,
        "reason": reason,
        "reports_per_user": limit,
    }
    return Call("report_user", _ReportRow, parameters, _read_reported)


def decide_report(by: Caller, report_id: int, wanted: NewDecision) -> Call[Decided]:
    """Decide about a report and do what is decided, or do nothing.

    Nothing is decided twice: where the last decision is not the expected one, the error says who
    decided what. Errors: `NotFoundError`, `ConflictError`; `InvalidInputError` for what cannot be
    done about this report.
    """
    parameters = {
        "by": by.to_json(),
        "report_id": report_id,
        "decision": wanted.decision,
        "note": wanted.note,
        "until": wanted.until,
        "expected": wanted.expected,
    }
    return Call(
        "decide_report",
        _DecisionRow,
        parameters,
        _read_decided,
        publishes=True,
        lock=("report", report_id),
    )


def _read_reported(rows: list[_ReportRow]) -> Reported:
    row = read_single_row(rows)
    if row.retry_after is not None:
        raise RateLimitedError(
            "You have made as many reports as are allowed in this time. Nothing was stored.",
            seconds=row.retry_after,
        )
    if row.outcome == "not_found":
        # Which of the two it lacks, the room or the message, is not told.
        raise NotFoundError
    if row.report is None:
        raise InvalidInputError("A report has a reason of 1 to 500 characters.", pointer="/reason")
    report = msgspec.json.decode(row.report, type=OwnReport)
    return Reported(report, is_duplicate=row.outcome == "already")


_IMPOSSIBLE = {
    "no_message": "The report is of a user, not of a message: there is nothing to delete.",
    "no_room": "The report names no room in which the user could be muted.",
    "not_member": "The user is not a member of the room any more, and cannot be muted there.",
}


def _read_decided(rows: list[_DecisionRow]) -> Decided:
    row = read_single_row(rows)
    if row.outcome in _IMPOSSIBLE:
        raise InvalidInputError(_IMPOSSIBLE[row.outcome], pointer="/decision")
    if row.outcome == "past":
        raise InvalidInputError("until must be a time in the future.", pointer="/until")
    if row.outcome == "archived":
        raise RoomArchivedError("The room is archived: nobody is muted there.")
    if row.outcome == "report_not_found":
        raise NotFoundError("There is no such report.")
    decision = msgspec.json.decode(row.decision, type=Decision) if row.decision else None
    if decision is None or row.outcome == "conflict":
        _refuse_decision(decision)
    return Decided(decision, is_duplicate=row.outcome == "already")


def _refuse_decision(last: Decision | None) -> NoReturn:
    """Raise the error for who was not the first, or expects a decision that is not the last."""
    if last is None:
        raise ConflictError("Nobody has decided about this report yet. Nothing was changed.")
    raise ConflictError(
        f"{last.decided_by} decided “{last.decision}” about this report at {last.decided_at}. "
        f"Nothing was changed; to replace that decision, give its id, {last.id}, as expected."
    )
