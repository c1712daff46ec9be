"""Invites that many use at once, or that are changed while somebody uses them."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from chat.actions.caller import Caller
from chat.actions.invites import accept_invite, create_invite, revoke_invite
from chat.actions.joins import NO_LIMITS
from chat.errors import InviteGoneError, NotFoundError, RightRequiredError
from chat.events import EventRoom
from chat.queries.invites import Invite
from chat.sql import Call
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_exact_ledger
from tests.support.processes import serve_api
from tests.support.sessions import Session, run_at_once, wait_until_waiting

USES, USERS = 5, 50
HOST = Caller("service", "host")
MODERATORS = ["public:moderator"]


def make_invite(connection: Connection, room: int, max_uses: int | None = None) -> Invite:
    """Create an invite of an hour."""
    call = create_invite(room, HOST, seconds=3600, max_uses=max_uses, allowed=[])
    return run_call(connection, call)


def accept(invite: Invite, user: str) -> Call[EventRoom]:
    """Return the call with which a user accepts an invite."""
    return accept_invite(invite.id, datetime.fromisoformat(invite.created_at), user, NO_LIMITS)


def count_uses(connection: Connection, invite: Invite) -> int:
    """Return how many joined by an invite."""
    row = connection.execute("SELECT uses FROM chat_invite WHERE id = %s", [invite.id]).fetchone()
    assert row is not None
    uses: int = row["uses"]
    return uses


def test_exactly_so_many_users_join_as_the_invite_allows(
    cast: Cast, database_url: str, connection: Connection
) -> None:
    """Of 50 who accept at once, behind two processes, 5 join; the others get 410."""
    room = cast.service().create_room()
    invite = cast.service().post(f"/api/rooms/{room}/invites/", {"max_uses": USES}).json()
    with serve_api(database_url) as other_url, Cast(other_url) as other_cast:
        other_cast._suffix = cast._suffix
        users = [(cast, other_cast)[n % 2].user(f"guest{n}") for n in range(USERS)]

        answers = run_at_once(
            lambda user: user.post(f"/api/invites/{invite['token']}/accept/"), users
        )

    assert Counter(answer.status_code for answer in answers) == {200: USES, 410: USERS - USES}
    (listed,) = cast.service().get(f"/api/rooms/{room}/invites/").json()["results"]
    assert listed["uses"] == USES
    members = connection.execute(
        "SELECT count(*) AS count FROM chat_member WHERE room_id = %s", [room]
    ).fetchone()
    assert members == {"count": USES}


def test_in_many_sessions_it_is_exact_too(
    place: Place, open_session: Callable[[], Session], connection: Connection
) -> None:
    """In each of many rounds eight sessions use an invite for three, each for another user."""
    sessions = [open_session() for _ in range(8)]
    for n in range(15):
        invite = make_invite(connection, place.room(), 3)

        def join(session: tuple[int, Session], invite: Invite = invite, n: int = n) -> bool:
            try:
                session[1].run(accept(invite, place.user(f"{n}-{session[0]}")))
            except InviteGoneError:
                return False
            return True

        joined = run_at_once(join, list(enumerate(sessions)))

        assert joined.count(True) == count_uses(connection, invite) == 3
        read_exact_ledger(connection, invite.room_id)


def test_one_user_at_once_is_one_use(
    place: Place, open_session: Callable[[], Session], connection: Connection
) -> None:
    """A request that is sent several times at once joins once."""
    invite = make_invite(connection, place.room(), 2)
    sessions, bob = [open_session() for _ in range(6)], place.user("bob")

    run_at_once(lambda session: session.run(accept(invite, bob)), sessions)

    assert count_uses(connection, invite) == 1


def test_who_accepts_while_it_is_revoked_is_not_let_in(
    place: Place, connection: Connection, first: Session, second: Session
) -> None:
    """The one waits for the other, and sees what it did."""
    room = place.room()
    invite = make_invite(connection, room)
    first.begin()
    first.run(revoke_invite(room, invite.id, HOST, allowed=[]))
    joining = second.start(accept(invite, place.user("bob")))
    wait_until_waiting(connection)

    first.commit()

    with pytest.raises(InviteGoneError):
        joining.result(10)
    assert count_uses(connection, invite) == 0


def test_a_use_that_is_undone_is_none(
    place: Place, connection: Connection, first: Session, second: Session
) -> None:
    """The last use of an invite is free again where the first user's join was rolled back."""
    invite = make_invite(connection, place.room(), 1)
    first.begin()
    first.run(accept(invite, place.user("alice")))
    joining = second.start(accept(invite, place.user("bob")))
    wait_until_waiting(connection)

    first.rollback()

    joining.result(10)
    assert count_uses(connection, invite) == 1


def test_who_loses_the_role_meanwhile_creates_no_invite(
    place: Place, connection: Connection, first: Session, second: Session
) -> None:
    """What counts is the role that the member has when the room's lock is free."""
    room, alice = place.room("alice"), place.user("alice")
    role = "UPDATE chat_member SET role = %s WHERE room_id = %s"
    connection.execute(role, ["moderator", room])
    first.lock_room(room)
    creating = second.start(
        create_invite(room, Caller("user", alice), seconds=60, max_uses=None, allowed=MODERATORS)
    )
    wait_until_waiting(connection)

    first.execute(role, ["member", room])
    first.commit()

    with pytest.raises(RightRequiredError):
        creating.result(10)


def test_a_locked_room_is_like_no_room_to_a_stranger(
    host: Actor, alice: Actor, charlie: Actor, first: Session
) -> None:
    """A stranger's request for invites does not wait for the room's lock."""
    room = host.create_room(alice)
    first.lock_room(room)

    answers = [
        charlie.post(f"/api/rooms/{room}/invites/"),
        charlie.get(f"/api/rooms/{room}/invites/"),
        charlie.delete(f"/api/rooms/{room}/invites/1/"),
    ]

    assert {answer.content for answer in answers} == {
        charlie.post("/api/rooms/999999999999/invites/").content
    }


def test_a_wrong_time_of_creation_is_no_invite(place: Place, connection: Connection) -> None:
    """An id alone opens nothing."""
    invite = make_invite(connection, place.room())
    call = accept_invite(
        invite.id, datetime.fromisoformat("2026-01-02T03:04:05Z"), place.user("bob"), NO_LIMITS
    )

    with pytest.raises(NotFoundError):
        run_call(connection, call)
