"""What the functions do with arguments that no caller should give: nothing is changed, ever."""

from typing import LiteralString

import psycopg
import pytest

from chat.conf import CONTENT_BYTES_MAX, EVENT_BYTES_MAX
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor

SEND = "SELECT outcome FROM chat.send_messages(%s::bigint[], %s::text[], %s::text[], %s::text[])"

# A call, and how its error names what is wrong. `:room` stands for a room of alice's.
REFUSED: list[tuple[LiteralString, str]] = [
    ("send_messages(NULL, '{a}', '{k}', '{hi}')", "send_messages: p_room_ids is null"),
    ("send_messages('{:room}', NULL, '{k}', '{hi}')", "send_messages: p_user_ids is null"),
    ("send_messages('{:room}', '{a}', NULL, '{hi}')", "send_messages: p_client_ids is null"),
    ("send_messages('{:room}', '{a}', '{k}', NULL)", "send_messages: p_contents is null"),
    ("send_messages('{:room}', '{a}', '{k}', '{hi}', NULL)", "send_messages: p_wait is null"),
    ("send_messages('{:room}', '{a,a}', '{k}', '{hi}')", "1 entries, p_user_ids has 2"),
    ("send_messages('{:room}', '{a}', '{k,k}', '{hi}')", "1 entries, p_client_ids has 2"),
    ("send_messages('{:room}', '{a}', '{k}', '{hi,hi}')", "1 entries, p_contents has 2"),
    ("send_messages('{:room,:room}', '{a}', '{k}', '{hi}')", "2 entries, p_user_ids has 1"),
    ("send_messages('{:room}', '{}', '{k}', '{hi}')", "1 entries, p_user_ids has 0"),
    ("send_messages('{}', '{a}', '{k}', '{hi}')", "0 entries, p_user_ids has 1"),
    ("send_messages('{{:room}}', '{a}', '{k}', '{hi}')", "p_room_ids has 2 dimensions"),
    ("send_messages('{{:room}}', '{{a}}', '{{k}}', '{{hi}}')", "p_room_ids has 2 dimensions"),
    ("send_messages('{:room}', '{{a}}', '{k}', '{hi}')", "p_user_ids has 2 dimensions"),
    ("send_messages('[0:0]={:room}', '{a}', '{k}', '{hi}')", "index of .*p_room_ids is 0, not 1"),
    ("send_messages('{:room}', '{a}', '{k}', '[2:2]={hi}')", "index of .*p_contents is 2, not 1"),
    (
        "send_messages(array_fill(1::bigint, '{10001}'), '{a}', '{k}', '{hi}')",
        "p_room_ids has 10001 entries: one call takes at most 10000",
    ),
    (
        "send_limited_messages('{:room}', '{a}', '{k}', '{hi}', '{t,f}', NULL, NULL, true)",
        "1 entries, p_are_limited has 2",
    ),
    ("add_members(:room, NULL)", "add_members: p_user_ids is null"),
    ("add_members(:room, '{{a,b}}')", "add_members: p_user_ids has 2 dimensions"),
    ("add_members(:room, '[0:0]={a}')", "index of add_members: p_user_ids is 0, not 1"),
    ("add_members(:room, array_fill('a'::text, '{10001}'))", "add_members: .* 10001 entries"),
    ("create_room('new', NULL)", "create_room: p_user_ids is null"),
    ("create_room('new', '{{a,b}}')", "create_room: p_user_ids has 2 dimensions"),
    ("create_room('new', '[0:0]={a}')", "index of create_room: p_user_ids is 0, not 1"),
    ("create_room('new', array_fill('a'::text, '{10001}'))", "create_room: .* 10001 entries"),
    ("keep_listeners(NULL, 60)", "keep_listeners: p_user_ids is null"),
    ("keep_listeners('{{a}}', 60)", "keep_listeners: p_user_ids has 2 dimensions"),
    ("keep_listeners('{refused,NULL}', 60)", "keep_listeners: .* an id that no user can have"),
    ("keep_listeners('{refused,\"\"}', 60)", "keep_listeners: .* an id that no user can have"),
    ("keep_listeners('{refused}', NULL)", "keep_listeners: p_seconds is not at least 1"),
    ("keep_listeners('{refused}', 0)", "keep_listeners: p_seconds is not at least 1"),
    ("settle_listeners(NULL, '{}')", "settle_listeners: p_user_ids is null"),
    ("settle_listeners('{a}', '{}')", "settle_listeners: the arrays differ in length"),
    ("change_own_membership(:room, 'b', NULL, '30/60')", "p_is_joining is null"),
    ("change_own_membership(:room, 'b', true, '30')", "p_changes_per_user is not like 30/60"),
    (
        'create_invite(:room, 0, NULL, \'{"kind": "service", "id": "host"}\', \'{}\')',
        "create_invite: p_seconds or p_max_uses is not at least 1",
    ),
    ('create_invite(:room, 60, NULL, \'{"kind": "guest", "id": "a"}\', \'{}\')', "no caller"),
    ("prune_events(NULL, 10)", "prune_events: p_before is null"),
    ("prune_events(now(), NULL)", "prune_events: p_limit is not a number of rows"),
    ("prune_revocations(NULL, 10)", "prune_revocations: p_before is null"),
    ("prune_revocations(now(), NULL)", "prune_revocations: p_limit is not a number of rows"),
    ("prune_listeners(NULL, 10)", "prune_listeners: p_before is null"),
    ("prune_listeners(now(), NULL)", "prune_listeners: p_limit is not a number of rows"),
]

# A call with impossible values, and its outcomes, one for each message or user.
OUTCOMES: list[tuple[LiteralString, list[str]]] = [
    ("send_messages('{}', '{}', '{}', '{}')", []),
    ("send_messages('{NULL}', '{a}', '{k}', '{hi}')", ["invalid"]),
    ("send_messages('{:room}', '{NULL}', '{k}', '{hi}')", ["invalid"]),
    ("send_messages('{:room}', '{a}', '{NULL}', '{hi}')", ["invalid"]),
    ("send_messages('{:room}', '{a}', '{k}', '{NULL}')", ["invalid"]),
    ("send_messages('{NULL,:room}', '{a,a}', '{k,}', '{hi,hi}')", ["invalid", "invalid"]),
    ("add_members(:room, '{}')", []),
    ("add_members(NULL, '{a}')", ["room_not_found"]),
    ("add_members(:room, '{a,NULL}')", ["invalid_user"]),
    ("add_members(:room, '{a,\"\"}')", ["invalid_user"]),
    ("create_room(NULL, '{}')", ["invalid_name"]),
    ("create_room('new', '{a,NULL}')", ["invalid_user"]),
    ("create_room('new', '{}', NULL, 'k')", ["invalid_key"]),
    ("remove_member(NULL, 'a')", ["room_not_found"]),
    ("remove_member(:room, NULL)", ["not_member"]),
    ("rename_room(NULL, 'new')", ["room_not_found"]),
    ("rename_room(:room, NULL)", ["invalid_name"]),
    ("delete_message(NULL)", ["not_found"]),
    ("revoke_tokens(NULL)", ["invalid_user"]),
    ("change_own_membership(NULL, 'a', true, '30/60')", ["room_not_found"]),
    ("change_own_membership(:room, NULL, true, '30/60')", ["invalid_user"]),
    ("join_room(NULL, 'b', '', 0, 0)", ["room_not_found"]),
    ("join_room(:room, NULL, '', 0, 0)", ["invalid_user"]),
    ("leave_room(NULL, 'a', '', '{}')", ["room_not_found"]),
    ("leave_room(:room, 'a', '', NULL)", ["right_required"]),
    ("accept_invite(NULL, now(), 'b', '', 0, 0)", ["invite_not_found"]),
    ("accept_invite(1, NULL, 'b', '', 0, 0)", ["invite_not_found"]),
]


def _count_rows(connection: Connection) -> object:
    return connection.execute(
        "SELECT (SELECT count(*) FROM chat_room) AS rooms,"
        " (SELECT count(*) FROM chat_member) AS members,"
        " (SELECT count(*) FROM chat_message) AS messages,"
        " (SELECT count(*) FROM chat_event) AS events,"
        " (SELECT count(*) FROM chat_listener WHERE user_id = 'refused') AS listeners,"
        " (SELECT sum(version) FROM chat_room) AS versions"
    ).fetchone()


def _compose(call: LiteralString, room_id: int) -> bytes:
    text = call.replace(":room", str(room_id)).replace("'{k,}'", "'{k,\"\"}'")
    return f"SELECT * FROM chat.{text}".encode()


@pytest.fixture
def room_id(connection: Connection) -> int:
    """Return a room of user a's."""
    (row,) = connection.execute("SELECT room->>'id' AS id FROM chat.create_room('room', '{a}')")
    return int(row["id"])


@pytest.mark.parametrize(("call", "fact"), REFUSED)
def test_an_impossible_argument_is_an_error_that_names_it(
    connection: Connection, room_id: int, call: LiteralString, fact: str
) -> None:
    """The error says which argument of which function is wrong, and nothing is changed."""
    before = _count_rows(connection)

    with pytest.raises(psycopg.errors.InvalidParameterValue, match=fact):
        connection.execute(_compose(call, room_id)).fetchall()

    assert _count_rows(connection) == before


@pytest.mark.parametrize(("call", "outcomes"), OUTCOMES)
def test_an_impossible_value_is_an_outcome(
    connection: Connection, room_id: int, call: LiteralString, outcomes: list[str]
) -> None:
    """A value in its place that cannot be is answered with a row, and nothing is changed."""
    before = _count_rows(connection)

    rows = connection.execute(_compose(call, room_id)).fetchall()

    assert [row["outcome"] for row in rows] == outcomes
    assert _count_rows(connection) == before


def test_as_many_as_a_call_takes_are_stored(
    connection: Connection, room_id: int, place: Place
) -> None:
    """Ten thousand users are added, and ten thousand messages sent, by one call each.

    In two rooms: ten thousand messages to ten thousand members are gigabytes of the outbox.
    """
    crowded = place.room()
    connection.execute(
        "SELECT FROM chat.add_members(%s, ARRAY(SELECT 'u' || n FROM generate_series(1, 10000) n))",
        [crowded],
    )
    sent = connection.execute(
        "SELECT DISTINCT outcome FROM chat.send_messages(array_fill(%s::bigint, '{10000}'),"
        " array_fill('a'::text, '{10000}'),"
        " ARRAY(SELECT 'k' || n FROM generate_series(1, 10000) n),"
        " array_fill('hi'::text, '{10000}'))",
        [room_id],
    ).fetchall()
    rooms = connection.execute(
        "SELECT last_seq, member_count, version FROM chat_room WHERE id = ANY (%s) ORDER BY id",
        [[room_id, crowded]],
    ).fetchall()

    assert sent == [{"outcome": "sent"}]
    assert rooms == [
        {"last_seq": 10_000, "member_count": 1, "version": 10_001},
        {"last_seq": 0, "member_count": 10_000, "version": 10_000},
    ]


# Characters of one to six bytes in JSON.
CHARACTERS = {"x": 1, '"': 2, "é": 2, "\N{SNOWMAN}": 3, "\N{GRINNING FACE}": 4, "\x01": 6}


@pytest.mark.parametrize("character", CHARACTERS)
def test_the_longest_content_is_sent_and_a_longer_one_is_invalid(
    connection: Connection, room_id: int, character: str
) -> None:
    """The bound is of the event's bytes; the other messages of the batch are sent."""
    longest = CONTENT_BYTES_MAX // CHARACTERS[character]
    contents = [character * (longest + 1), "first", character * longest, character * 5_000_000]

    rows = connection.execute(
        SEND, [[room_id] * 4, ["a"] * 4, ["1", "2", "3", "4"], contents]
    ).fetchall()

    assert [row["outcome"] for row in rows] == ["invalid", "sent", "sent", "invalid"]
    stored = connection.execute(
        "SELECT content FROM chat_message WHERE room_id = %s ORDER BY seq", [room_id]
    )
    assert [row["content"] for row in stored] == ["first", character * longest]


def test_the_largest_event_fits_a_hundredth_of_the_queue(connection: Connection) -> None:
    """Also with the longest name, user and key, and with the greatest ids and versions."""
    user = '"' * 128
    created = connection.execute(
        "SELECT room->>'id' AS id FROM chat.create_room(%s, %s::text[])", ["\x01" * 255, [user]]
    ).fetchone()
    assert created is not None
    room_id = int(created["id"])
    connection.execute(
        "UPDATE chat_room SET version = 10^18, last_seq = 10^18 WHERE id = %s", [room_id]
    )
    content = "\x01" * (CONTENT_BYTES_MAX // 6)
    (sent,) = connection.execute(SEND, [[room_id], [user], ["\x02" * 64], [content]])
    (event,) = connection.execute(
        "SELECT octet_length(payload->>'data') AS bytes FROM chat_outbox ORDER BY id DESC LIMIT 1"
    )

    assert sent["outcome"] == "sent"
    # Ids of rooms and messages may have 17 digits more. The frame adds the offset.
    assert event["bytes"] + 2 * 17 + len('{"data":,"offset":},') + 19 <= EVENT_BYTES_MAX


def test_the_api_refuses_a_long_content_as_ever(host: Actor, alice: Actor) -> None:
    """Beyond `CHAT_MESSAGE_MAX_LENGTH` the answer is 422 and names the field."""
    room = host.create_room(alice)

    refused = alice.send(room, "x" * 4001)

    assert (refused.status_code, refused.json()["pointer"]) == (422, "/content")
    assert alice.send(room, "\x01" * 4000).status_code == 201
