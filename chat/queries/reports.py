"""Reading reports, for staff and the host's service."""

from typing import Literal

import msgspec

from chat.errors import NotFoundError
from chat.events import Message
from chat.queries.keyset import Slice
from chat.sql import Call

Verdict = Literal["keep", "delete", "mute"]
"""What can be decided about a report; `keep` changes nothing."""


class OwnReport(msgspec.Struct, frozen=True):
    """A report as the user who made it sees it."""

    id: int
    user: str
    room_id: int | None
    message_id: int | None
    reason: str
    created_at: str


class Report(OwnReport, frozen=True):
    """A report as staff and the service see it."""

    reported_by: str
    """A user, or `~words` where the word list did it."""
    decision: str | None
    """The last one, or null while the report is open."""
    decided_at: str | None


class Decision(msgspec.Struct, frozen=True):
    """What was decided about a report, and by whom."""

    id: int
    report_id: int
    decision: str
    note: str
    until: str | None
    """Until when the user is muted or banned; null for ever, and for other decisions."""
    decided_by: str
    decided_at: str


class ReportInContext(Report, frozen=True):
    """A report with what it takes to decide about it."""

    message: Message | None
    """The reported message as it is now."""
    context: list[Message]
    """The reported message with up to five before it and five after it, the oldest first."""
    other_reports: int
    """How many other reports of this user there are, decided ones included."""
    decisions: list[Decision]
    """The latest one first."""


class _ReportRow(msgspec.Struct, frozen=True):
    """A report, composed in SQL."""

    report: str


class _ContextRow(msgspec.Struct, frozen=True):
    """A report and what belongs to it, each composed in SQL."""

    report: str
    message: str | None
    context: str
    other_reports: int
    decisions: str


_decode_report = msgspec.json.Decoder(Report).decode


def list_open_reports(part: Slice[int]) -> Call[list[Report]]:
    """Return a part of the reports that nobody has decided about, the oldest first."""
    return Call(part.choose("list_open_reports"), _ReportRow, _describe(part), _read_reports)


def list_decided_reports(part: Slice[int]) -> Call[list[Report]]:
    """Return a part of the reports that were decided about, the newest report first."""
    return Call(part.choose("list_decided_reports"), _ReportRow, _describe(part), _read_reports)


def get_report(report_id: int) -> Call[ReportInContext]:
    """Return a report with the messages around it. Errors: `NotFoundError`."""
    return Call("find_report", _ContextRow, {"report_id": report_id}, _read_in_context)


def _describe(part: Slice[int]) -> dict[str, object]:
    return {"position": part.position, "limit": part.limit + 1}


def _read_reports(rows: list[_ReportRow]) -> list[Report]:
    return [_decode_report(row.report) for row in rows]


def _read_in_context(rows: list[_ContextRow]) -> ReportInContext:
    if not rows:
        raise NotFoundError("There is no such report.")
    row = rows[0]
    return ReportInContext(
        **msgspec.structs.asdict(_decode_report(row.report)),
        message=msgspec.json.decode(row.message, type=Message) if row.message else None,
        context=msgspec.json.decode(row.context, type=list[Message]),
        other_reports=row.other_reports,
        decisions=msgspec.json.decode(row.decisions, type=list[Decision]),
    )
