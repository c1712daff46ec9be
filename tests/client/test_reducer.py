"""How an event changes what a user sees."""

from typing import Any

import pytest

from client.reducer import Json, Outcome, Reducer
from tests.client.room_history import ME, ROOM, RoomHistory


@pytest.fixture
def world() -> RoomHistory:
    """Return a room with Ann and me, at version 2."""
    return RoomHistory(ME, "ann")


def read(world: RoomHistory, version: int | None = None, **options: Any) -> Reducer:
    """Return a reducer that has read the room at a version, by default the current one."""
    at = version or world.head
    reducer = Reducer(ME, **options)
    reducer.replace(world.room(at), world.members(at), world.messages(at, reducer.keep))
    return reducer


def with_type(event: Json, kind: str) -> Json:
    """Return an event under another type."""
    return event | {"type": kind}


def test_the_next_event_is_applied(world: RoomHistory) -> None:
    """The event with the held version + 1 is applied, for every type of event."""
    reducer = read(world)
    world.send()
    world.delete(1)
    world.rename()
    world.join("bob")
    world.leave("ann")

    outcomes = [reducer.receive(event) for event in world.frames(after=2)]

    assert outcomes == [Outcome.APPLIED] * 5
    assert reducer.state() == world.state(keep=200)
    assert reducer.versions() == {ROOM: 7}


def test_an_applied_event_is_dropped(world: RoomHistory) -> None:
    """An event that comes again changes nothing, even if it comes late."""
    reducer = read(world)
    world.send()
    world.rename()
    for event in world.frames(after=2):
        reducer.receive(event)

    outcomes = [reducer.receive(event) for event in world.frames(after=0)]

    assert outcomes == [Outcome.DROPPED] * 4
    assert reducer.state() == world.state(keep=200)


def test_an_event_that_stands_for_others_leaves_no_gap(world: RoomHistory) -> None:
    """The last event of many joins is applied at once; only the other members are unknown."""
    reducer = read(world)
    world.join_in_bulk("bob", "eve", "zoe")
    (event,) = world.frames(after=2)

    outcome = reducer.receive(event)

    assert outcome is Outcome.APPLIED
    assert reducer.versions() == {ROOM: 5}
    assert reducer.state()["rooms"] == world.state(keep=200)["rooms"]
    assert reducer.lacks_members(ROOM)
    reducer.replace_members(ROOM, world.members(world.head))
    assert not reducer.lacks_members(ROOM)
    assert reducer.state() == world.state(keep=200)


def test_a_client_that_does_not_know_what_an_event_stands_for_has_a_gap(
    world: RoomHistory,
) -> None:
    """Without `first_version` it is an event beyond the next one, and the log has all between."""
    reducer = read(world)
    world.join_in_bulk("bob", "eve", "zoe")
    (event,) = world.frames(after=2)
    del event["body"]["first_version"]

    assert reducer.receive(event) is Outcome.GAP
    for logged in world.log(2, world.head):
        assert reducer.receive(logged) is Outcome.APPLIED
    assert not reducer.lacks_members(ROOM)
    assert reducer.state() == world.state(keep=200)


def test_a_client_within_what_an_event_stands_for_has_no_gap(world: RoomHistory) -> None:
    """A client that has read a part of the joins from the log applies the last one too."""
    world.join_in_bulk("bob", "eve", "zoe")
    reducer = read(world, version=3)

    assert reducer.receive(world.frames(after=2)[0]) is Outcome.APPLIED
    assert reducer.lacks_members(ROOM)


def test_a_client_that_missed_more_than_an_event_stands_for_has_a_gap(world: RoomHistory) -> None:
    """An earlier event is missing: the log repairs it, and then no member is unknown."""
    reducer = read(world)
    world.send()
    world.join_in_bulk("bob", "eve", "zoe")
    _, joined = world.frames(after=2)

    assert reducer.receive(joined) is Outcome.GAP
    for event in world.log(2, world.head):
        assert reducer.receive(event) is Outcome.APPLIED
    assert not reducer.lacks_members(ROOM)
    assert reducer.state() == world.state(keep=200)


def test_a_gap_is_reported_and_nothing_is_applied(world: RoomHistory) -> None:
    """An event after the next one is not applied: those before it have to be fetched."""
    reducer = read(world)
    before = reducer.state()
    world.send()
    world.send()

    assert reducer.receive(world.published[4]) is Outcome.GAP
    assert reducer.state() == before
    assert reducer.version(ROOM) == 2


def test_an_unknown_room_is_reported(world: RoomHistory) -> None:
    """An event of a room that is not held makes the client read the room, and adds nothing."""
    reducer = Reducer(ME)

    assert reducer.receive(world.published[2]) is Outcome.UNKNOWN_ROOM
    assert reducer.versions() == {}
    assert reducer.version(ROOM) == 0


def test_an_event_of_no_room_is_dropped() -> None:
    """Events of a later release that belong to no room, such as typing, are dropped."""
    reducer = Reducer("ann")

    assert reducer.receive({"type": "typing", "body": {"user": "bob"}}) is Outcome.DROPPED
    assert reducer.versions() == {}


def test_another_user_leaving_an_unknown_room_is_reported(world: RoomHistory) -> None:
    """Only the user's own leaving is dropped: if someone else left, the user is a member."""
    world.leave("ann")
    reducer = Reducer(ME)

    assert reducer.receive(world.published[3]) is Outcome.UNKNOWN_ROOM


def test_leaving_drops_the_room(world: RoomHistory) -> None:
    """A removed user no longer sees the room, and the repeated event causes no read."""
    reducer = read(world)
    world.leave(ME)

    assert reducer.receive(world.published[3]) is Outcome.APPLIED
    assert reducer.state() == {"rooms": [], "members": {}, "messages": {}}
    assert reducer.receive(world.published[3]) is Outcome.DROPPED


def test_an_unknown_type_of_event_moves_the_version(world: RoomHistory) -> None:
    """An event of an unknown type counts as applied, so the next one is not a gap."""
    reducer = read(world)
    world.rename()
    world.send()

    assert reducer.receive(with_type(world.published[3], "room_painted")) is Outcome.APPLIED
    assert reducer.receive(world.published[4]) is Outcome.APPLIED
    assert reducer.state() == world.state(keep=200)


def test_a_deleted_text_does_not_come_back(world: RoomHistory) -> None:
    """If messages were read after a deletion, earlier events do not show the text again."""
    world.send()
    world.delete(1)
    reducer = Reducer(ME)
    reducer.replace(world.room(2), world.members(2), world.messages(4, 200))

    reducer.receive(world.published[3])

    assert [message["content"] for message in reducer.state()["messages"][ROOM]] == [""]
    assert reducer.state()["rooms"][0]["last_message"]["content"] == ""


def test_only_the_newest_messages_are_held(world: RoomHistory) -> None:
    """`keep` limits what is held, also after each new message."""
    for _ in range(4):
        world.send()
    reducer = read(world, 5, keep=3)
    reducer.receive(world.published[6])

    assert [message["seq"] for message in reducer.state()["messages"][ROOM]] == [4, 3, 2]


def test_a_read_replaces_everything_that_is_held(world: RoomHistory) -> None:
    """After a restored backup, messages and members that it does not have are not shown."""
    world.send()
    reducer = read(world)

    reducer.replace(world.room(1), world.members(1), world.messages(1, 200))

    assert reducer.state()["messages"] == {ROOM: []}
    assert reducer.state()["members"] == {ROOM: world.members(1)}
    assert reducer.version(ROOM) == 1


def test_no_more_messages_are_held_than_keep(world: RoomHistory) -> None:
    """Of pages with more messages than `keep`, the newest are held."""
    for _ in range(4):
        world.send()
    reducer = Reducer(ME, keep=3)
    reducer.replace(world.room(6), world.members(6), world.messages(6, 200))

    assert reducer.state() == world.state(keep=3)


def test_rooms_are_in_the_order_of_their_last_message() -> None:
    """The room with the latest message comes first, whatever the time of any clock was."""
    reducer = Reducer(ME)
    for room_id, bump_id in [(1, 5), (2, 8), (3, 7), (4, 8)]:
        room = {"id": room_id, "version": 1, "bumped_at": f"t{9 - bump_id}", "bump_id": bump_id}
        reducer.replace(room, [{"user": ME}], [])

    assert [room["id"] for room in reducer.state()["rooms"]] == [4, 2, 3, 1]


def test_a_message_brings_its_room_to_the_front() -> None:
    """The place of a room is the id of its last message, also where the clock went back."""
    reducer = Reducer(ME)
    for room_id in (1, 2):
        room = {"id": room_id, "version": 1, "bumped_at": "t9", "bump_id": room_id}
        reducer.replace(room, [{"user": ME}], [])
    message = {"id": 3, "room_id": 1, "seq": 1, "user": ME, "content": "text", "created_at": "t1"}

    reducer.receive(
        {
            "type": "message_added",
            "body": message | {"room": {"id": 1, "version": 2, "bumped_at": "t9"}},
        }
    )

    assert [room["id"] for room in reducer.state()["rooms"]] == [1, 2]


def test_a_room_read_from_the_release_before_gets_its_place() -> None:
    """Without `bump_id` the newest message is the place; without messages a list gives it."""
    reducer = Reducer(ME)
    message = {"id": 6, "seq": 1}
    reducer.replace({"id": 1, "version": 2}, [{"user": ME}], [message])
    reducer.replace({"id": 2, "version": 1}, [{"user": ME}], [])
    reducer.replace({"id": 3, "version": 1, "bump_id": 7}, [{"user": ME}], [])
    before = [room["id"] for room in reducer.state()["rooms"]]

    for room_id, bump_id in (1, 5), (2, 8), (3, 5), (9, 9):
        reducer.place({"id": room_id, "bump_id": bump_id})

    assert before == [3, 1, 2]
    assert [room["id"] for room in reducer.state()["rooms"]] == [2, 3, 1]


def test_members_are_in_the_order_of_the_service() -> None:
    """Members are ordered by the bytes of their ids, as the API lists them."""
    users = ["я", "b", "B", "a", "€"]
    reducer = Reducer(ME)
    room = {"id": 1, "version": 1, "bumped_at": "t", "bump_id": 1}
    reducer.replace(room, [{"user": u} for u in users], [])

    assert [member["user"] for member in reducer.state()["members"][1]] == [
        *("B", "a", "b", "я", "€")
    ]


def test_unread_counts_what_others_wrote(world: RoomHistory) -> None:
    """Messages of others above the read position count, except those with a deleted text."""
    reducer = read(world)
    for user in ["ann", ME, "ann", "ann"]:
        world.send(user)
    for event in world.frames(after=2):
        reducer.receive(event)
    assert reducer.unread(ROOM) == 3

    world.delete(3)
    reducer.receive(world.published[7])
    assert reducer.unread(ROOM) == 2

    reducer.mark_read(ROOM, 3)
    assert (reducer.unread(ROOM), reducer.position(ROOM)) == (1, 3)


def test_a_read_position_only_rises(world: RoomHistory) -> None:
    """Scrolling back makes nothing unread; neither does leaving and joining again."""
    world.send()
    world.send()
    reducer = read(world)
    reducer.mark_read(ROOM, 2)
    reducer.mark_read(ROOM, 1)
    reducer.forget(ROOM)
    assert reducer.unread(ROOM) == 0

    reducer.replace(world.room(4), world.members(4), world.messages(4, 200))

    assert (reducer.unread(ROOM), reducer.position(ROOM)) == (0, 2)


def test_unread_is_bounded_by_what_is_held(world: RoomHistory) -> None:
    """Only messages that are held are counted."""
    for _ in range(5):
        world.send()

    assert read(world, keep=3).unread(ROOM) == 3


def test_a_position_beyond_the_room_is_taken_back(world: RoomHistory) -> None:
    """After a restored backup a position beyond the room is lowered; new messages are unread."""
    world.send()
    reducer = read(world)
    reducer.mark_read(ROOM, 9)
    reducer.replace(world.room(3), world.members(3), world.messages(3, 200))
    world.send()

    reducer.receive(world.published[4])

    assert reducer.unread(ROOM) == 1


def test_a_deleted_room_is_dropped_whatever_was_missed() -> None:
    """Its last event ends it, also after a gap; a room that is not held stays so."""
    reducer = Reducer("alice")
    reducer.replace({"id": 1, "name": "general", "version": 3, "bump_id": 1}, [], [])
    deleted = {"type": "room_deleted", "body": {"room": {"id": 1, "name": "x", "version": 9}}}

    assert reducer.receive(deleted) is Outcome.APPLIED
    assert reducer.versions() == {}
    assert reducer.receive(deleted) is Outcome.DROPPED


def test_a_changed_room_has_the_state_of_the_event() -> None:
    """What stands beside `room` is a part of the room; older events have nothing there."""
    reducer = Reducer("alice")
    reducer.replace({"id": 1, "name": "general", "version": 1, "bump_id": 1}, [], [])
    body = {"room": {"id": 1, "name": "salon", "version": 2}, "history": "all", "data": {"a": 1}}
    reducer.receive({"type": "room_updated", "body": body})
    older = {"room": {"id": 1, "name": "salon", "version": 3}}
    reducer.receive({"type": "room_updated", "body": older})

    (room,) = reducer.state()["rooms"]
    assert (room["name"], room["version"], room["data"]) == ("salon", 3, {"a": 1})
