"""What an event does to what a user sees."""

from typing import Any

import pytest

from client.reducer import Json, Outcome, Reducer
from tests.client.room_history import ME, ROOM, World


@pytest.fixture
def world() -> World:
    """Return a room of mine and Ann's, at version 2."""
    return World(ME, "ann")


def read(world: World, version: int | None = None, **options: Any) -> Reducer:
    """Return a reducer that has read the room at a version, else now."""
    at = version or world.head
    reducer = Reducer(ME, **options)
    reducer.replace(world.room(at), world.members(at), world.messages(at, reducer.keep))
    return reducer


def with_type(event: Json, kind: str) -> Json:
    """Return an event under another type."""
    return event | {"type": kind}


def test_the_next_event_is_applied(world: World) -> None:
    """Version held + 1 changes what is seen, whatever kind of event it is."""
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


def test_what_was_applied_is_dropped(world: World) -> None:
    """An event that comes again, however late, changes nothing."""
    reducer = read(world)
    world.send()
    world.rename()
    for event in world.frames(after=2):
        reducer.receive(event)

    outcomes = [reducer.receive(event) for event in world.frames(after=0)]

    assert outcomes == [Outcome.DROPPED] * 4
    assert reducer.state() == world.state(keep=200)


def test_a_gap_is_told_and_nothing_is_applied(world: World) -> None:
    """An event beyond the next one waits for those before it."""
    reducer = read(world)
    before = reducer.state()
    world.send()
    world.send()

    assert reducer.receive(world.published[4]) is Outcome.GAP
    assert reducer.state() == before
    assert reducer.version(ROOM) == 2


def test_an_unknown_room_is_told(world: World) -> None:
    """An event of a room that is not held asks for the room, and adds nothing by itself."""
    reducer = Reducer(ME)

    assert reducer.receive(world.published[2]) is Outcome.UNKNOWN_ROOM
    assert reducer.versions() == {}
    assert reducer.version(ROOM) == 0


def test_an_event_of_no_room_is_dropped() -> None:
    """What a later release may tell a user besides, such as who is typing, disturbs nothing."""
    reducer = Reducer("ann")

    assert reducer.receive({"type": "typing", "body": {"user": "bob"}}) is Outcome.DROPPED
    assert reducer.versions() == {}


def test_another_user_who_left_an_unknown_room_is_told(world: World) -> None:
    """Only one's own end is dropped: who hears of another's is a member."""
    world.leave("ann")
    reducer = Reducer(ME)

    assert reducer.receive(world.published[3]) is Outcome.UNKNOWN_ROOM


def test_ones_own_end_forgets_the_room(world: World) -> None:
    """Who is removed sees the room no longer, and the same event again asks for nothing."""
    reducer = read(world)
    world.leave(ME)

    assert reducer.receive(world.published[3]) is Outcome.APPLIED
    assert reducer.state() == {"rooms": [], "members": {}, "messages": {}}
    assert reducer.receive(world.published[3]) is Outcome.DROPPED


def test_an_event_of_a_later_release_counts(world: World) -> None:
    """A type that is not known moves the version on, so that what follows is no gap."""
    reducer = read(world)
    world.rename()
    world.send()

    assert reducer.receive(with_type(world.published[3], "room_painted")) is Outcome.APPLIED
    assert reducer.receive(world.published[4]) is Outcome.APPLIED
    assert reducer.state() == world.state(keep=200)


def test_a_deleted_text_does_not_come_back(world: World) -> None:
    """The messages were read after a deletion whose events arrive afterwards: no flash of it."""
    world.send()
    world.delete(1)
    reducer = Reducer(ME)
    reducer.replace(world.room(2), world.members(2), world.messages(4, 200))

    reducer.receive(world.published[3])

    assert [message["content"] for message in reducer.state()["messages"][ROOM]] == [""]
    assert reducer.state()["rooms"][0]["last_message"]["content"] == ""


def test_only_the_newest_messages_are_held(world: World) -> None:
    """`keep` bounds what is held, and the bound moves with each message."""
    for _ in range(4):
        world.send()
    reducer = read(world, 5, keep=3)
    reducer.receive(world.published[6])

    assert [message["seq"] for message in reducer.state()["messages"][ROOM]] == [4, 3, 2]


def test_what_is_read_anew_is_all_that_is_held(world: World) -> None:
    """A restored database may lack messages and members: they are not seen any longer."""
    world.send()
    reducer = read(world)

    reducer.replace(world.room(1), world.members(1), world.messages(1, 200))

    assert reducer.state()["messages"] == {ROOM: []}
    assert reducer.state()["members"] == {ROOM: world.members(1)}
    assert reducer.version(ROOM) == 1


def test_no_more_is_held_than_asked_for(world: World) -> None:
    """Whoever reads whole pages gives more than is kept: the newest of them are."""
    for _ in range(4):
        world.send()
    reducer = Reducer(ME, keep=3)
    reducer.replace(world.room(6), world.members(6), world.messages(6, 200))

    assert reducer.state() == world.state(keep=3)


def test_rooms_are_in_the_order_of_their_last_message() -> None:
    """The room with the latest message comes first; of two at one moment, the newer room."""
    reducer = Reducer(ME)
    for room_id, bumped_at in [(1, "t1"), (2, "t3"), (3, "t2"), (4, "t3")]:
        room = {"id": room_id, "version": 1, "bumped_at": bumped_at}
        reducer.replace(room, [{"user": ME}], [])

    assert [room["id"] for room in reducer.state()["rooms"]] == [4, 2, 3, 1]


def test_members_are_in_the_order_of_the_service() -> None:
    """By the bytes of their ids, as the API lists them."""
    users = ["я", "b", "B", "a", "€"]
    reducer = Reducer(ME)
    reducer.replace({"id": 1, "version": 1, "bumped_at": "t"}, [{"user": u} for u in users], [])

    assert [member["user"] for member in reducer.state()["members"][1]] == [
        *("B", "a", "b", "я", "€")
    ]


def test_unread_counts_what_others_wrote(world: World) -> None:
    """Beyond the position, without one's own messages and deleted texts, as they come and go."""
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


def test_a_read_position_only_rises(world: World) -> None:
    """Scrolling back makes nothing unread; nor does leaving and coming back."""
    world.send()
    world.send()
    reducer = read(world)
    reducer.mark_read(ROOM, 2)
    reducer.mark_read(ROOM, 1)
    reducer.forget(ROOM)
    assert reducer.unread(ROOM) == 0

    reducer.replace(world.room(4), world.members(4), world.messages(4, 200))

    assert (reducer.unread(ROOM), reducer.position(ROOM)) == (0, 2)


def test_unread_is_bounded_by_what_is_held(world: World) -> None:
    """With more beyond the position than is held, the count is of what is held."""
    for _ in range(5):
        world.send()

    assert read(world, keep=3).unread(ROOM) == 3


def test_a_position_beyond_the_room_is_taken_back(world: World) -> None:
    """After a restored backup messages that were read are gone; those that come are unread."""
    world.send()
    reducer = read(world)
    reducer.mark_read(ROOM, 9)
    reducer.replace(world.room(3), world.members(3), world.messages(3, 200))
    world.send()

    reducer.receive(world.published[4])

    assert reducer.unread(ROOM) == 1
