"""Reports that are made, and decisions that are taken, at the same time."""

from collections.abc import Callable

import pytest

from chat.actions.caller import Caller
from chat.actions.messages import send_message
from chat.actions.reports import NewDecision, decide_report, report_message, report_user
from chat.errors import ConflictError, RateLimitedError
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.sessions import Session, run_at_once, wait_until_waiting

ANNA, BORIS = Caller("staff", "anna"), Caller("staff", "boris")


def report(connection: Connection, place: Place, name: str = "bob") -> int:
    """Return a report of a message that Alice wrote."""
    room = place.room("alice", name)
    message = run_call(connection, send_message(place.message(room, "alice", "key"))).message
    call = report_message(room, message.id, place.user(name), "rude", limit="")
    return run_call(connection, call).report.id


def list_decisions(connection: Connection, report_id: int) -> list[str]:
    """Return who decided about a report, in order."""
    rows = connection.execute(
        "SELECT decided_by FROM chat_decision WHERE report_id = %s ORDER BY id", [report_id]
    )
    return [row["decided_by"] for row in rows]


def test_of_two_who_decide_at_once_the_first_wins(
    connection: Connection, place: Place, first: Session, second: Session
) -> None:
    """The second waits for the first, learns who decided what, and changes nothing."""
    report_id = report(connection, place)
    first.begin()
    first.run(decide_report(ANNA, report_id, NewDecision("keep")))
    waiting = second.start(decide_report(BORIS, report_id, NewDecision("delete")))
    wait_until_waiting(connection)

    first.commit()

    with pytest.raises(ConflictError, match=r"anna decided “keep”"):
        waiting.result(10)
    assert list_decisions(connection, report_id) == ["anna"]


def test_a_decision_that_was_undone_leaves_the_report_open(
    connection: Connection, place: Place, first: Session, second: Session
) -> None:
    """The second decides where the first transaction was rolled back."""
    report_id = report(connection, place)
    first.begin()
    first.run(decide_report(ANNA, report_id, NewDecision("delete")))
    waiting = second.start(decide_report(BORIS, report_id, NewDecision("keep")))
    wait_until_waiting(connection)

    first.rollback()

    assert waiting.result(10).decision.decided_by == "boris"
    assert list_decisions(connection, report_id) == ["boris"]


def test_many_who_decide_at_once_make_one_decision(
    connection: Connection, place: Place, connect: Callable[[], Connection]
) -> None:
    """Of eight members of staff one decides, in each of five rounds."""
    sessions = [connect() for _ in range(8)]
    for _ in range(5):
        report_id = report(connection, place)

        def decide(number: int, report_id: int = report_id) -> bool:
            call = decide_report(Caller("staff", f"staff {number}"), report_id, NewDecision("keep"))
            try:
                run_call(sessions[number], call)
            except ConflictError:
                return False
            return True

        assert sum(run_at_once(decide, range(8))) == 1
        assert len(list_decisions(connection, report_id)) == 1


def test_equal_reports_at_once_are_one(
    connection: Connection, place: Place, connect: Callable[[], Connection]
) -> None:
    """Eight equal requests of one user: one report, counted once, and each is answered with it."""
    sessions = [connect() for _ in range(8)]
    call = report_user(place.user("bob"), None, place.user("alice"), "spam", limit="2/60")

    answers = run_at_once(lambda session: run_call(session, call), sessions)

    assert len({answer.report.id for answer in answers}) == 1
    assert sum(not answer.is_duplicate for answer in answers) == 1
    other = report_user(place.user("carol"), None, place.user("alice"), "spam", limit="2/60")
    assert not run_call(connection, other).is_duplicate


def test_the_limit_holds_for_reports_at_once(
    place: Place, connect: Callable[[], Connection]
) -> None:
    """Of eight reports of one user at the same time three are stored."""
    sessions = [connect() for _ in range(8)]

    def report_one(number: int) -> bool:
        call = report_user(
            place.user(f"bob{number}"), None, place.user("alice"), "spam", limit="3/60"
        )
        try:
            run_call(sessions[number], call)
        except RateLimitedError:
            return False
        return True

    assert sum(run_at_once(report_one, range(8))) == 3
