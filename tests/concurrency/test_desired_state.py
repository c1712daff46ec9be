"""Several bring one room to a state, or change it meanwhile: it ends in one state, whole."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chat.actions.caller import SERVICE
from chat.actions.desired_state import Step, WantedRoom, approach_room
from chat.actions.members import MemberChange, add_members, remove_member, update_member
from chat.errors import ConflictError, NotFoundError, RoomArchivedError
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.processes import start_api
from tests.support.sessions import Session, run_at_once, wait_until_waiting

CHUNK = 3


@pytest.fixture
def key() -> str:
    """Return an external id that no other test has."""
    return secrets.token_hex(8)


def want(*users: str, name: str = "room", role: str | None = None) -> WantedRoom:
    """Return a state with these members."""
    return WantedRoom(name, members=dict.fromkeys(users, role))


def make_state(n: int, users: list[str]) -> WantedRoom:
    """Return a state that differs from those of other numbers in everything."""
    roles = ["member", None, "moderator", "owner"]
    return WantedRoom(
        f"state {n}",
        kind=("public", "private")[n % 2],
        members={user: roles[(n + m) % 4] for m, user in enumerate(users)},
    )


def begin(session: Session, key: str, wanted: WantedRoom, chunk: int = CHUNK) -> Step:
    """Change the first members, and supersede everyone else."""
    return session.run(approach_room(SERVICE, key, wanted, chunk=chunk))


def go_on(session: Session, key: str, wanted: WantedRoom, step: Step) -> Step:
    """Change the next members."""
    return session.run(approach_room(SERVICE, key, wanted, generation=step.generation, chunk=CHUNK))


def bring(session: Session, key: str, wanted: WantedRoom) -> Step:
    """Bring the room to a state in chunks, as the API does. Errors: when it was superseded."""
    step = begin(session, key, wanted)
    while step.remaining:
        step = go_on(session, key, wanted, step)
    return step


def read_state(connection: Connection, key: str) -> tuple[str, dict[str, str]]:
    """Return the name of a room, and the role of each member."""
    rows = connection.execute(
        "SELECT r.name, m.user_id, m.role FROM chat_room r"
        " LEFT JOIN chat_member m ON m.room_id = r.id WHERE r.external_id = %s",
        [key],
    ).fetchall()
    return rows[0]["name"], {row["user_id"]: row["role"] for row in rows if row["user_id"]}


def state_of(wanted: WantedRoom) -> tuple[str, dict[str, str]]:
    """Return what `read_state` returns for a room that is as wanted."""
    return wanted.name, {user: role or "member" for user, role in (wanted.members or {}).items()}


def room_of(connection: Connection, key: str) -> int:
    """Return the id of a room."""
    (row,) = connection.execute("SELECT id FROM chat_room WHERE external_id = %s", [key])
    room: int = row["id"]
    return room


def test_a_later_call_supersedes_an_earlier_one(
    place: Place, first: Session, second: Session, connection: Connection, key: str
) -> None:
    """The earlier one stops with its next chunk; the room is as the later one wants it, whole."""
    earlier = want(*place.users(10, "earlier"), name="earlier", role="moderator")
    later = want(*place.users(10, "later"), name="later")
    step = begin(first, key, earlier)
    step = go_on(first, key, earlier, step)
    other = begin(second, key, later)

    with pytest.raises(ConflictError, match="superseded"):
        go_on(first, key, earlier, step)
    while other.remaining:
        other = go_on(second, key, later, other)

    assert read_state(connection, key) == state_of(later)


def test_a_call_that_differs_in_nothing_supersedes_too(
    place: Place, first: Session, second: Session, connection: Connection, key: str
) -> None:
    """Who was answered that the room is as wanted does not see it go on to another state."""
    users = place.users(10)
    step = begin(first, key, want(*users))
    there = read_state(connection, key)

    answer = begin(second, key, want(*there[1]))

    assert (answer.user_ids, answer.remaining) == ([], 0)
    with pytest.raises(ConflictError):
        go_on(first, key, want(*users), step)
    assert read_state(connection, key) == there


def test_a_later_call_waits_for_a_chunk_and_changes_it_back(
    place: Place, first: Session, second: Session, connection: Connection, key: str
) -> None:
    """What a chunk that holds the room adds is seen, and removed."""
    earlier, later = want(*place.users(2, "earlier")), want(*place.users(2, "later"))
    bring(first, key, want())
    first.begin()
    begin(first, key, earlier)
    waiting = second.start(approach_room(SERVICE, key, later))
    wait_until_waiting(connection)
    first.commit()

    step = waiting.result()

    assert len(step.user_ids or ()) == 4
    assert read_state(connection, key) == state_of(later)


def test_two_who_create_a_room_create_one(
    place: Place, first: Session, second: Session, connection: Connection, key: str
) -> None:
    """The second waits for the first to commit, and then changes the room that it finds."""
    earlier, later = want(*place.users(2, "earlier")), want(*place.users(2, "later"))
    first.begin()
    created = begin(first, key, earlier, chunk=10)
    waiting = second.start(approach_room(SERVICE, key, later))
    wait_until_waiting(connection)
    first.commit()

    changed = waiting.result()

    assert (created.outcome, changed.outcome) == ("created", "approached")
    assert read_state(connection, key) == state_of(later)


def test_a_creation_that_was_undone_never_was(
    place: Place, first: Session, second: Session, connection: Connection, key: str
) -> None:
    """When the first is rolled back, the second creates the room."""
    first.begin()
    begin(first, key, want(*place.users(2, "earlier")))
    waiting = second.start(approach_room(SERVICE, key, want(*place.users(2, "later"))))
    wait_until_waiting(connection)
    first.rollback()

    assert waiting.result().outcome == "created"
    assert read_state(connection, key) == state_of(want(*place.users(2, "later")))


@pytest.mark.parametrize("attempt", range(10))
def test_racing_calls_end_in_one_of_the_states(
    place: Place,
    open_session: Callable[[], Session],
    connection: Connection,
    key: str,
    attempt: int,
) -> None:
    """Four callers with different states, roles and names: one state, and never a mixture."""
    del attempt
    users = place.users(20)
    wanted = [make_state(n, users[n * 3 : n * 3 + 11]) for n in range(4)]
    sessions = [open_session() for _ in wanted]
    bring(sessions[0], key, want(*users[:5]))

    def try_to_bring(n: int) -> bool:
        try:
            bring(sessions[n], key, wanted[n])
        except ConflictError:
            return False
        return True

    succeeded = run_at_once(try_to_bring, range(4))

    name, members = read_state(connection, key)
    last = int(name.removeprefix("state "))
    asked = wanted[last].members or {}
    assert succeeded[last]
    assert members.keys() == asked.keys()
    assert {user: members[user] for user, role in asked.items() if role} == {
        user: role for user, role in asked.items() if role
    }


def test_racing_requests_end_in_one_of_the_states(
    host: Actor, cast: Cast, connection: Connection, key: str
) -> None:
    """The same over HTTP, with states that take several chunks."""
    states = {
        name: [cast.user(f"{name}{n}").user_id for n in range(1_200)] for name in ("one", "two")
    }
    address = f"/api/rooms/by-external-id/{key}/"

    def send(name: str) -> int:
        members = [{"user": user} for user in states[name]]
        return host.put(address, {"name": name, "members": members}).status_code

    for _ in range(3):
        statuses = dict(zip(states, run_at_once(send, list(states)), strict=True))

        name, members = read_state(connection, key)
        assert statuses.pop(name) in {200, 201}
        assert members.keys() == set(states[name])
        assert set(statuses.values()) <= {200, 201, 409}


def test_what_others_change_between_chunks_is_changed_back(
    place: Place, first: Session, second: Session, connection: Connection, key: str
) -> None:
    """Who joins is removed, who leaves is added again, and who got a role loses it."""
    users = place.users(8)
    wanted = WantedRoom("room", members=dict.fromkeys(users, "member"))
    bring(first, key, want("stranger"))
    room = room_of(connection, key)
    step = begin(first, key, wanted)
    second.run(add_members(room, [place.user("joiner"), users[7]], SERVICE))
    second.run(remove_member(room, users[0], SERVICE))
    second.run(update_member(room, users[1], MemberChange(role="moderator"), SERVICE))

    while step.remaining:
        step = go_on(first, key, wanted, step)

    assert read_state(connection, key) == ("room", dict.fromkeys(users, "member"))


@pytest.mark.parametrize("attempt", range(5))
def test_a_call_against_users_who_come_and_go(
    place: Place,
    open_session: Callable[[], Session],
    connection: Connection,
    key: str,
    attempt: int,
) -> None:
    """Each chunk is decided under the lock: counters, log and members agree, and the call ends."""
    del attempt
    users, others = place.users(30), place.users(6, "other")
    sessions = [open_session() for _ in range(4)]
    bring(sessions[0], key, want(*others))
    room = room_of(connection, key)

    def run(n: int) -> None:
        if n == 0:
            bring(sessions[0], key, want(*users))
            return
        for user in (others[n], users[n], users[-n]):
            run_call(sessions[n].connection, remove_member(room, user, SERVICE))
            run_call(sessions[n].connection, add_members(room, [user], SERVICE))

    run_at_once(run, range(4))

    stray = set(read_state(connection, key)[1]) ^ set(users)
    assert stray <= {*others[1:4]}, "only who came after the last chunk is there"
    bring(sessions[0], key, want(*users))
    assert read_state(connection, key) == state_of(want(*users))
    (row,) = connection.execute("SELECT * FROM chat_room WHERE id = %s", [room])
    assert row["member_count"] == len(users)


def test_a_call_that_was_broken_off_is_completed_by_repeating_it(
    place: Place, first: Session, second: Session, connection: Connection, key: str
) -> None:
    """A chunk that is undone changes nothing; the repeated call does what is left, and no more."""
    wanted = want(*place.users(10))
    step = begin(first, key, wanted)
    first.begin()
    go_on(first, key, wanted, step)
    first.rollback()

    rest = begin(second, key, wanted, chunk=100)

    assert (rest.remaining, len(rest.user_ids or ())) == (0, 10 - CHUNK)
    assert read_state(connection, key) == state_of(wanted)
    (row,) = connection.execute("SELECT version FROM chat_room WHERE external_id = %s", [key])
    assert row["version"] == 10


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_what_the_next_call_completes(
    host: Actor, database_url: str, connection: Connection, key: str, place: Place
) -> None:
    """Whole chunks are there after the kill; the same request to another process does the rest."""
    users = place.users(5_000)
    body = {"name": "room", "members": [{"user": user} for user in users]}
    address = f"/api/rooms/by-external-id/{key}/"
    with (
        start_api(database_url) as (url, process),
        Cast(url) as cast,
        ThreadPoolExecutor() as threads,
    ):
        sent = threads.submit(cast.service().put, address, body)
        while (
            found := connection.execute(
                "SELECT member_count FROM chat_room WHERE external_id = %s", [key]
            ).fetchone()
        ) is None or not found["member_count"]:
            pass
        process.kill()
        assert sent.exception() is not None

    part = len(read_state(connection, key)[1])
    answer = host.put(address, body)

    assert 0 < part < len(users)
    assert part % 500 == 0
    assert answer.status_code == 200
    assert answer.json()["counts"]["added"] == len(users) - part
    assert read_state(connection, key) == state_of(want(*users))


def test_an_archived_or_deleted_room_stops_a_call(
    place: Place, first: Session, connection: Connection, key: str
) -> None:
    """What happens to the room between two chunks is answered as for a first one."""
    wanted = want(*place.users(10))
    step = begin(first, key, wanted)
    connection.execute("UPDATE chat_room SET archived_at = now() WHERE external_id = %s", [key])
    with pytest.raises(RoomArchivedError):
        go_on(first, key, wanted, step)
    connection.execute("UPDATE chat_room SET external_id = NULL WHERE external_id = %s", [key])

    with pytest.raises(NotFoundError):
        go_on(first, key, wanted, step)
    begin(first, key, want())
    with pytest.raises(ConflictError, match="superseded"):
        go_on(first, key, wanted, step)
    assert read_state(connection, key) == state_of(want())
