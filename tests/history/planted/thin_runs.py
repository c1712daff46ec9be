"""Runs in which too little happened, or in which one sender waited while others were served."""

from tests.history.draft import Draft
from tests.history.planted.planting import caught_by
from tests.history.verdict import Check


def _leave_unanswered(draft: Draft, action: str) -> None:
    """Make all calls of an action unacknowledged."""
    for _, end in draft.calls(action, "ok"):
        end["type"] = "info"


def _stretch(draft: Draft) -> float:
    """Make the run last about twenty seconds, without a fault; return when it began."""
    draft.drop(*draft.of("fault"))
    begin: float = min(record["at"] for record in draft.records)
    for record in draft.records:
        record["at"] = begin + 4 * (record["at"] - begin)
    return min(float(call["at"]) for call in draft.of("invoke", action="send"))


@caught_by(Check.ENOUGH_HAPPENED)
def nobody_is_added(draft: Draft) -> None:
    """No one joined."""
    _leave_unanswered(draft, "add")


@caught_by(Check.ENOUGH_HAPPENED)
def nobody_is_removed(draft: Draft) -> None:
    """No one left."""
    _leave_unanswered(draft, "remove")


@caught_by(Check.ENOUGH_HAPPENED)
def nothing_is_deleted(draft: Draft) -> None:
    """No deletion was acknowledged."""
    _leave_unanswered(draft, "delete")


@caught_by(Check.ENOUGH_HAPPENED)
def nothing_is_renamed(draft: Draft) -> None:
    """No rename was acknowledged."""
    _leave_unanswered(draft, "rename")


@caught_by(Check.ENOUGH_HAPPENED)
def hardly_a_page_is_read(draft: Draft) -> None:
    """Two pages were read."""
    for _, end in draft.calls("read_page", "ok")[2:]:
        end["type"] = "info"


@caught_by(Check.ENOUGH_HAPPENED, Check.EVERY_EVENT_ARRIVES)
def hardly_a_frame_comes(draft: Draft) -> None:
    """The devices fetched everything except a few events."""
    draft.drop(*draft.of("frame")[90:])


@caught_by(Check.ENOUGH_HAPPENED)
def all_sends_go_by_sql(draft: Draft) -> None:
    """Not one message was sent by HTTP."""
    for call in draft.of("invoke", action="send"):
        call["by"] = "sql"


@caught_by(Check.SERVICE_GOES_ON, Check.ENOUGH_HAPPENED)
def import_hides_a_silence(draft: Draft) -> None:
    """For twelve seconds only the messages of an importer were acknowledged."""
    begin = _stretch(draft)
    for call in draft.of("invoke", action="send"):
        if begin + 3 < call["at"] < begin + 15:
            call["by"] = "sql"


@caught_by(Check.SERVICE_GOES_ON)
def one_sender_waits(draft: Draft) -> None:
    """A sender got only errors for seventeen seconds, while others were acknowledged."""
    begin = _stretch(draft)
    asked = {"room": 1, "user": "waiting", "key": "k", "content": "text"}
    for n in range(18):
        draft.add_call(begin + n, "send", "info", {"why": "503"}, **asked)


@caught_by(Check.SERVICE_GOES_ON)
def one_call_is_never_answered(draft: Draft) -> None:
    """A sender had no answer to his only call."""
    begin = _stretch(draft)
    asked = {"room": 1, "user": "waiting", "key": "k", "content": "text"}
    draft.add(begin, "invoke", op=2_000_000, process="planted", action="send", **asked)
