"""GET /api/rooms/"""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import Connection
from tests.contract.pages import flatten, follow, last_page, read_page
from tests.support.actors import PLAIN, Actor, describe_my

PATH = "/api/rooms/"
TIME = "2026-01-02T03:04:05.678901Z"


def make_rooms(host: Actor, member: Actor, count: int) -> list[int]:
    """Create rooms and return their ids, the latest first, as the list has them."""
    return [host.create_room(member, name=f"room {n}") for n in range(count)][::-1]


def ids(pages: list[list[dict[str, int]]]) -> list[int]:
    """Return the ids of the rooms on these pages."""
    return [room["id"] for room in flatten(pages)]


def test_someone_without_rooms_has_an_empty_list(charlie: Actor) -> None:
    """A new user has no rooms, and that is not an error."""
    assert read_page(charlie, PATH) == {"next": None, "previous": None, "results": []}


def test_a_room_shows_its_state(host: Actor, alice: Actor, bob: Actor) -> None:
    """The list shows each room as it stands, with its last message as the messages list has it."""
    room = host.create_room(alice, bob, name="Общий 🙂")
    bob.send(room, "first")
    last = alice.send(room, "last", client_id="k").json()

    (shown,) = read_page(alice, PATH)["results"]

    assert shown == {
        "id": room,
        "name": "Общий 🙂",
        "version": 4,
        "member_count": 2,
        "bumped_at": last["created_at"],
        "bump_id": last["id"],
        "last_message": last,
        "created_at": shown["created_at"],
        "my": describe_my(),
        **PLAIN,
    }
    alone = alice.get(f"/api/rooms/{room}/").json()
    del alone["my"]["rights"]
    assert shown == alone


def test_a_room_without_messages_has_no_last_message(host: Actor, alice: Actor) -> None:
    """Before the first message the place of a room is that of its creation."""
    older = host.create_room(alice)
    alice.send(older, "text")
    newer = host.create_room(alice)

    shown, below = read_page(alice, PATH)["results"]

    assert shown["last_message"] is None
    assert shown["bumped_at"] == shown["created_at"]
    assert [shown["id"], below["id"]] == [newer, older]


def test_the_latest_message_comes_first(host: Actor, alice: Actor, bob: Actor) -> None:
    """Anybody's message brings a room to the top; joining and leaving leave it where it is."""
    third, second, first = make_rooms(host, alice, 3)
    host.post(f"/api/rooms/{first}/members/", {"users": [bob.user_id]})
    bob.send(first, "bump")
    bob.post(f"/api/rooms/{second}/join/")
    bob.post(f"/api/rooms/{second}/leave/")

    assert [room["id"] for room in read_page(alice, PATH)["results"]] == [first, third, second]


def test_only_own_rooms_are_listed(host: Actor, alice: Actor, bob: Actor, charlie: Actor) -> None:
    """A list has the rooms that its reader is a member of now, and no others."""
    shared, bobs = host.create_room(alice, bob), host.create_room(bob)
    left = host.create_room(alice, bob)
    alice.post(f"/api/rooms/{left}/leave/")

    assert [room["id"] for room in read_page(alice, PATH)["results"]] == [shared]
    assert [room["id"] for room in read_page(bob, PATH)["results"]] == [left, bobs, shared]
    assert read_page(charlie, PATH)["results"] == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
def test_walking_to_the_end_and_back_meets_every_room_once(
    host: Actor, alice: Actor, limit: int
) -> None:
    """Along `next`, and from the end along `previous`, each room is on exactly one page."""
    rooms = make_rooms(host, alice, 7)
    first = read_page(alice, PATH, limit=limit)

    down = follow(alice, "next", first)
    up = follow(alice, "previous", last_page(alice, first))

    assert ids(down) == rooms
    assert ids(up[::-1]) == rooms
    assert max(len(page) for page in down + up) <= limit


@pytest.mark.parametrize("column, value", [("bumped_at", TIME), ("bump_id", 7)])
def test_rooms_bumped_at_one_time_are_told_apart(
    host: Actor, alice: Actor, connection: Connection, column: str, value: object
) -> None:
    """Rooms with equal times or places are neither repeated nor skipped: the id decides."""
    rooms = make_rooms(host, alice, 5)
    connection.execute(
        f"UPDATE chat_room SET {column} = %s WHERE id = ANY (%s::bigint[])".encode(),
        [value, rooms],
    )
    first = read_page(alice, PATH, limit=2)

    assert ids(follow(alice, "next", first)) == rooms
    assert ids(follow(alice, "previous", last_page(alice, first))[::-1]) == rooms


def set_clock_forward(connection: Connection, rooms: list[int]) -> None:
    """Give rooms the times that a server gave whose clock was an hour ahead, the first the latest.

    For a server whose clock is right that is a clock that goes back.
    """
    connection.execute(
        "UPDATE chat_room r SET bumped_at = now() + interval '1 hour' - given.n * interval '1 s'"
        " FROM unnest(%s::bigint[]) WITH ORDINALITY AS given (id, n) WHERE r.id = given.id",
        [rooms],
    )


def test_the_time_of_a_room_never_falls(host: Actor, alice: Actor, connection: Connection) -> None:
    """After a clock went back, a message leaves `bumped_at` as it was, in its event too."""
    (room,) = make_rooms(host, alice, 1)
    set_clock_forward(connection, [room])
    before = alice.get(f"/api/rooms/{room}/").json()["bumped_at"]

    sent = alice.send(room, "text").json()

    after = alice.get(f"/api/rooms/{room}/").json()
    (event,) = alice.get(f"/api/rooms/{room}/events/", after=1).json()["results"]
    assert (after["bumped_at"], event["body"]["room"]["bumped_at"]) == (before, before)
    assert sent["created_at"] < before


def test_the_order_is_that_of_the_messages_and_not_of_a_clock(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """After a clock went back, the latest message still brings its room to the top."""
    third, second, first = make_rooms(host, alice, 3)
    set_clock_forward(connection, [third, second])
    alice.send(first, "text")
    alice.send(second, "text")

    listed = [room["id"] for room in read_page(alice, PATH)["results"]]

    assert listed == [second, first, third]


def test_a_walk_among_messages_repeats_no_room(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """With messages after each page, by a clock that goes back, each room comes at most once.

    A room that a message brings to the front before the walk reached it is the only one missing.
    """
    rooms = make_rooms(host, alice, 8)
    set_clock_forward(connection, rooms)
    page = read_page(alice, PATH, limit=1)
    walked = ids([page["results"]])
    raised: set[int] = set()
    while page["next"] is not None:
        ahead = [room for room in rooms if room not in {*walked, *raised}]
        for room in {walked[-1], walked[0], *ahead[1:2]}:
            alice.send(room, "bump")
        raised.update(ahead[1:2])
        page = read_page(alice, page["next"])
        walked += ids([page["results"]])

    assert walked == [room for room in rooms if room in set(walked)]
    assert set(rooms) - set(walked) == raised


def test_a_cursor_of_the_release_before_goes_on(host: Actor, alice: Actor) -> None:
    """In a rolling deploy a walk goes on from a cursor by time, in both directions."""
    rooms = make_rooms(host, alice, 5)
    place = alice.get(f"/api/rooms/{rooms[1]}/").json()["bumped_at"]

    def read_from(*, is_backwards: bool) -> list[int]:
        cursor = json.dumps([is_backwards, [place, rooms[1]]]).encode()
        page = read_page(alice, PATH, cursor=base64.urlsafe_b64encode(cursor).decode())
        return ids([page["results"]])

    assert read_from(is_backwards=False) == rooms[2:]
    assert read_from(is_backwards=True) == rooms[:1]


def test_the_release_before_takes_the_cursors_of_this_one(host: Actor, alice: Actor) -> None:
    """In a rolling deploy the first two parts of a place are those of the release before."""
    rooms = make_rooms(host, alice, 2)
    shown = alice.get(f"/api/rooms/{rooms[0]}/").json()

    link = read_page(alice, PATH, limit=1)["next"]

    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    _, place = json.loads(base64.urlsafe_b64decode(cursor))
    assert place == [shown["bumped_at"], shown["id"], shown["bump_id"]]


def test_a_room_bumped_ahead_repeats_nothing(host: Actor, alice: Actor) -> None:
    """A room on a page still to come that rises is missed by no one: `previous` leads to it."""
    rooms = make_rooms(host, alice, 5)
    first = read_page(alice, PATH, limit=2)
    alice.send(rooms[4], "bump")

    second = read_page(alice, first["next"])
    onward = follow(alice, "next", second)
    back = follow(alice, "previous", second)

    assert ids(onward) == rooms[2:4]
    assert ids(back[::-1]) == [rooms[4], *rooms[:4]]


def test_a_room_bumped_behind_repeats_nothing(host: Actor, alice: Actor) -> None:
    """A room that was read already and rises does not come again further down."""
    rooms = make_rooms(host, alice, 5)
    first = read_page(alice, PATH, limit=2)
    alice.send(rooms[1], "bump")

    assert ids(follow(alice, "next", first)) == rooms


def test_a_page_holds_50_rooms_by_default(alice: Actor, connection: Connection) -> None:
    """Without `limit` a page has 50 rooms."""
    connection.execute(
        "SELECT chat.create_room('many', ARRAY[%s]) FROM generate_series(1, 51)",
        [alice.user_id],
    )

    assert [len(page) for page in follow(alice, "next", read_page(alice, PATH))] == [50, 1]


def test_a_cursor_of_another_user_opens_nothing(host: Actor, alice: Actor, bob: Actor) -> None:
    """A cursor is a place in an order, not a right: with it, a reader still sees only own rooms."""
    make_rooms(host, alice, 3)
    own = host.create_room(bob)
    page = read_page(alice, PATH, limit=1)
    link = read_page(alice, page["next"])["previous"]

    assert ids(follow(bob, "next", read_page(bob, page["next"]))) == []
    assert ids(follow(bob, "previous", read_page(bob, link))) == [own]


@pytest.mark.parametrize(
    "cursor",
    [
        [False, [TIME, 2**63]],
        [False, [TIME, 10**40]],
        [False, [TIME, 0]],
        [False, [TIME, -1]],
        [False, [TIME, 1.5]],
        [False, [TIME, True]],
        [False, [TIME, "1"]],
        [False, [TIME]],
        [False, [TIME, 1, -1]],
        [False, [TIME, 1, 2**63]],
        [False, [TIME, 1, "1"]],
        [False, [TIME, 1, 1.5]],
        [False, ["", 1]],
        [False, ["infinity", 1]],
        [False, ["now", 1]],
        [False, ["2026-W01-1", 1]],
        [False, ["20260102T030405.678901Z", 1]],
        [False, ["2026-01-02T03:04:05,678901Z", 1]],
        [False, ["2026-01-02\x0003:04:05.678901Z", 1]],
        [False, ["2026-01-02🙂03:04:05.678901Z", 1]],
        [False, ["２026-01-02T03:04:05.678901Z", 1]],
        [False, ["2026-01-02T03:04:05.678901+23:59", 1]],
        [False, ["2026-02-30T03:04:05.678901Z", 1]],
        [False, ["0000-01-01T00:00:00.000000Z", 1]],
        [False, ["9999-12-31T24:00:00.000000Z", 1]],
        [True, ["2026-01-02T03:04:05.678901Z\n", 1]],
        [False, None],
        [False],
        [1, [TIME, 1]],
        [],
        {},
        None,
        1,
        "text",
    ],
)
def test_a_crafted_cursor_is_refused(alice: Actor, cursor: object) -> None:
    """A cursor that the list did not write is refused, however well it is encoded."""
    text = base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()

    answer = alice.get(PATH, cursor=text)

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "cursor"


@pytest.mark.parametrize(
    "raw",
    [
        *("cursor=%00", "cursor=%FF", "cursor=%C3%A9", "cursor=!!!!", "cursor==", "cursor=AAA"),
        "cursor=" + base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "cursor=" + base64.urlsafe_b64encode(b'[false,["\\ud800",1]]').decode(),
        "cursor=" + base64.urlsafe_b64encode(b"[false," + b"[" * 20_000).decode(),
        "cursor=" + "A" * 20_000,
    ],
)
def test_what_is_no_cursor_at_all_is_refused(alice: Actor, raw: str) -> None:
    """Bytes that are not base64, UTF-8 or JSON are refused like any other bad parameter."""
    answer = alice.get(f"{PATH}?{raw}")

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "cursor"


@pytest.mark.parametrize("limit", ["0", "201", "x", "", "-5"])
def test_the_limit_is_1_to_200(alice: Actor, limit: str) -> None:
    """Any other page size is refused by its name."""
    answer = alice.get(f"{PATH}?limit={limit}")

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "limit"
