"""What keeps a member from sending: a mute, an archive, slow mode, a ban from all rooms."""

import pytest

from chat.actions.messages import NewMessage, SendLimits, send_messages
from chat.errors import ChatError
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.support.actors import Actor, Cast


@pytest.fixture
def room(cast: Cast) -> int:
    """Create a room of alice, who is muted and slowed down below, and bob."""
    return cast.service().create_room(cast.user("alice"), cast.user("bob"))


def change_member(connection: Connection, room: int, user: Actor, change: str) -> None:
    """Write a member's row as its own function would."""
    statement = f"UPDATE chat_member SET {change} WHERE room_id = %s AND user_id = %s"
    connection.execute(statement.encode(), [room, user.user_id])


def change_room(connection: Connection, room: int, change: str) -> None:
    """Write a room's row as its own function would."""
    connection.execute(f"UPDATE chat_room SET {change} WHERE id = %s".encode(), [room])


def read_version(connection: Connection, room: int) -> tuple[int, int]:
    """Return the room's last version and seq."""
    row = connection.execute(
        "SELECT version, last_seq FROM chat_room WHERE id = %s", [room]
    ).fetchone()
    assert row is not None
    return row["version"], row["last_seq"]


def test_a_muted_member_gets_403_with_the_time_until_it_is_over(
    cast: Cast, room: int, connection: Connection
) -> None:
    """The answer names the time; nothing takes a seq; others send; afterwards all is as before."""
    alice, bob = cast.user("alice"), cast.user("bob")
    change_member(connection, room, alice, "muted_until = '2999-01-02 03:04:05+00'")
    before = read_version(connection, room)

    refused = alice.send(room, "hello")

    assert (refused.status_code, refused.json()["code"]) == (403, "muted")
    assert "2999-01-02T03:04:05.000000Z" in refused.json()["detail"]
    assert read_version(connection, room) == before
    assert bob.send(room, "hello").json()["seq"] == 1
    change_member(connection, room, alice, "muted_until = now() - interval '1 second'")
    assert alice.send(room, "hello").json()["seq"] == 2


def test_a_mute_for_ever_names_no_time(cast: Cast, room: int, connection: Connection) -> None:
    """The year 9999 stands for no end, and is not shown as a time."""
    alice = cast.user("alice")
    change_member(connection, room, alice, "muted_until = '9999-12-31'")

    refused = alice.send(room, "hello")

    assert (refused.status_code, refused.json()["code"]) == (403, "muted")
    assert "9999" not in refused.json()["detail"]


def test_an_archived_room_takes_no_message(cast: Cast, room: int, connection: Connection) -> None:
    """Members get 409 and strangers 404, as before; once restored it takes messages again."""
    alice = cast.user("alice")
    change_room(connection, room, "archived_at = now()")
    before = read_version(connection, room)

    refused = alice.send(room, "hello")

    assert (refused.status_code, refused.json()["code"]) == (409, "room_archived")
    assert cast.user("charlie").send(room, "hello").status_code == 404
    assert read_version(connection, room) == before
    change_room(connection, room, "archived_at = NULL")
    assert alice.send(room, "hello").status_code == 201


@pytest.mark.parametrize("refusal", ["muted", "archived", "banned", "slow_mode", "blocked"])
def test_what_was_accepted_is_answered_again_whatever_refuses_the_next(
    cast: Cast, connection: Connection, refusal: str
) -> None:
    """A client that repeats a request gets its message, and 409 for another text with its key."""
    alice = cast.user("alice")
    room = cast.service().create_room(alice, cast.user("bob"))
    accepted = alice.send(room, "hello", "key")
    match refusal:
        case "muted":
            change_member(connection, room, alice, "muted_until = '9999-12-31'")
        case "archived":
            change_room(connection, room, "archived_at = now()")
        case "banned":
            change_member(connection, room, alice, "is_barred = true")
            connection.execute(
                "INSERT INTO chat_ban (user_id, reason, created_by, created_at)"
                " VALUES (%s, '', 'host', now())",
                [alice.user_id],
            )
        case "slow_mode":
            change_room(connection, room, "slow_mode_seconds = 60")
            assert alice.send(room, "the one that counts", "counted").status_code == 201
        case "blocked":
            change_room(connection, room, "kind = 'direct'")
            connection.execute(
                "INSERT INTO chat_block (user_id, blocked_id, created_at) VALUES (%s, %s, now())",
                [cast.user("bob").user_id, alice.user_id],
            )

    assert alice.send(room, "hello", "new").status_code >= 400
    repeated = alice.send(room, "hello", "key")

    assert (repeated.status_code, repeated.content) == (200, accepted.content)
    assert alice.send(room, "other", "key").json()["code"] == "client_id_conflict"


def test_slow_mode_makes_members_wait(cast: Cast, room: int, connection: Connection) -> None:
    """A member sends once in that time, also after leaving and joining; a repetition is free."""
    alice, bob = cast.user("alice"), cast.user("bob")
    change_room(connection, room, "slow_mode_seconds = 60")

    assert alice.send(room, "first", "key").status_code == 201
    assert alice.send(room, "first", "key").status_code == 200
    refused = alice.send(room, "second")

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 55 <= int(refused.headers["Retry-After"]) <= 60
    assert bob.send(room, "another member").status_code == 201
    for change in ("leave", "join"):
        assert alice.post(f"/api/rooms/{room}/{change}/").status_code == 200
    assert alice.send(room, "after joining again").status_code == 429
    change_room(connection, room, "slow_mode_seconds = 0")
    assert alice.send(room, "second").status_code == 201


@pytest.mark.parametrize("role", ["moderator", "owner"])
def test_slow_mode_is_for_members(cast: Cast, room: int, connection: Connection, role: str) -> None:
    """Those who look after the room answer as fast as they write."""
    alice = cast.user("alice")
    change_room(connection, room, "slow_mode_seconds = 60")
    change_member(connection, room, alice, f"role = '{role}'")

    assert [alice.send(room, text).status_code for text in ("one", "two")] == [201, 201]


def test_a_refused_message_uses_up_no_turn_of_slow_mode(
    cast: Cast, room: int, connection: Connection
) -> None:
    """Who was muted can send at once when the mute is over."""
    alice = cast.user("alice")
    change_room(connection, room, "slow_mode_seconds = 60")
    change_member(connection, room, alice, "muted_until = '9999-12-31'")
    assert alice.send(room, "hello").status_code == 403
    change_member(connection, room, alice, "muted_until = NULL")

    assert alice.send(room, "hello").status_code == 201


def test_a_message_from_before_the_own_history_is_answered_as_it_was_sent(
    cast: Cast, room: int, connection: Connection
) -> None:
    """A member who cannot read an old message in the room learns no deletion of it either."""
    alice = cast.user("alice")
    sent = alice.send(room, "hello", "key").json()
    connection.execute("SELECT chat.delete_message(%s)", [sent["id"]])
    assert alice.send(room, "hello", "key").json()["content"] == ""

    change_room(connection, room, "history = 'since_join'")
    change_member(connection, room, alice, "joined_seq = 1")
    repeated = alice.send(room, "hello", "key")

    assert (repeated.status_code, repeated.json()) == (200, sent)


def test_the_release_before_says_later_where_it_knows_no_reason(
    cast: Cast, room: int, connection: Connection
) -> None:
    """Its code gets an outcome that it can answer, and the seconds with which it does."""
    alice = cast.user("alice")
    change_member(connection, room, alice, "muted_until = '9999-12-31'")

    row = connection.execute(
        "SELECT outcome, message, retry_after FROM chat.send_limited_messages("
        "ARRAY[%s]::bigint[], ARRAY[%s], ARRAY['k'], ARRAY['hi'], ARRAY[true], '', '', true)",
        [room, alice.user_id],
    ).fetchone()

    assert row == {"outcome": "rate_limited", "message": None, "retry_after": 60}


def test_a_role_that_may_not_send_gets_the_right_that_it_lacks(
    cast: Cast, room: int, connection: Connection
) -> None:
    """Where a host takes the right to send from a role, its members are refused, others are not."""
    alice, bob = cast.user("alice"), cast.user("bob")
    change_member(connection, room, bob, "role = 'moderator'")
    messages = [NewMessage(room, user.user_id, "key", "hello") for user in (alice, bob)]
    limits = SendLimits(allowed=["public:moderator", "private:member"])

    refused, sent = run_call(connection, send_messages(messages, limits=limits))

    assert isinstance(refused, ChatError)
    assert (refused.code, vars(refused)["right"]) == ("right_required", "send_messages")
    assert not isinstance(sent, ChatError)


def test_slow_mode_counts_new_messages_of_each_room(
    cast: Cast, room: int, connection: Connection
) -> None:
    """A repeated request uses up no turn, and another room has turns of its own."""
    alice = cast.user("alice")
    other = cast.service().create_room(alice)
    for slow in (room, other):
        change_room(connection, slow, "slow_mode_seconds = 60")
    assert alice.send(room, "first", "key").status_code == 201
    connection.execute(
        "UPDATE chat_use_count SET times = ARRAY[now() - interval '61 seconds'] WHERE user_id = %s",
        [alice.user_id],
    )

    assert alice.send(room, "first", "key").status_code == 200
    assert alice.send(room, "second").status_code == 201
    assert alice.send(other, "elsewhere").status_code == 201
    assert alice.send(room, "third").status_code == 429
