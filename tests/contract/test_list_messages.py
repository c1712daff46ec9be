"""GET /api/rooms/{id}/messages/"""

import pytest

from tests.conftest import Connection
from tests.contract.pages import flatten, follow, last_page, read_page
from tests.support.actors import Actor


def fill(room: int, sender: Actor, count: int, connection: Connection) -> list[int]:
    """Send messages 1, 2, 3… in one call and return their ids, the oldest first."""
    rows = connection.execute(
        "SELECT message_id FROM chat.send_messages(%s::bigint[], %s::text[], %s::text[],"
        " %s::text[]) ORDER BY message_seq",
        [
            [room] * count,
            [sender.user_id] * count,
            [f"key-{n}" for n in range(1, count + 1)],
            [f"message {n}" for n in range(1, count + 1)],
        ],
    ).fetchall()
    return [row["message_id"] for row in rows]


def test_an_empty_room_is_an_empty_page(host: Actor, alice: Actor) -> None:
    """A room without messages has no results and no neighbours."""
    room = host.create_room(alice)

    page = read_page(alice, f"/api/rooms/{room}/messages/")

    assert page == {"next": None, "previous": None, "results": []}


def test_the_newest_comes_first(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """Every member reads the same messages, in falling seq, 50 a page when not asked otherwise."""
    room = host.create_room(alice, bob)
    fill(room, alice, 51, connection)

    page = read_page(bob, f"/api/rooms/{room}/messages/")

    assert [message["seq"] for message in page["results"]] == list(range(51, 1, -1))
    assert page["results"][0]["content"] == "message 51"
    assert page["previous"] is None


@pytest.mark.parametrize("limit", [1, 3, 4, 9, 10, 200])
def test_walking_to_the_end_and_back_meets_every_message_once(
    host: Actor, alice: Actor, connection: Connection, limit: int
) -> None:
    """Along `next`, and from the end along `previous`, each message is on exactly one page."""
    room = host.create_room(alice)
    fill(room, alice, 9, connection)
    first = read_page(alice, f"/api/rooms/{room}/messages/", limit=limit)

    down = follow(alice, "next", first)
    up = follow(alice, "previous", last_page(alice, first))

    assert [message["seq"] for message in flatten(down)] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert flatten(up[::-1]) == flatten(down)
    assert max(len(page) for page in down + up) <= limit


def test_messages_that_arrive_meanwhile_shift_nothing(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """A reader in the middle of a room repeats nothing and misses nothing when others send."""
    room = host.create_room(alice)
    fill(room, alice, 6, connection)
    first = read_page(alice, f"/api/rooms/{room}/messages/", limit=2)
    alice.send(room, "meanwhile")

    second = read_page(alice, first["next"])
    back = follow(alice, "previous", second)

    assert [message["seq"] for message in second["results"]] == [4, 3]
    assert [message["seq"] for message in flatten(back[::-1])] == [7, 6, 5, 4, 3]


def test_before_is_the_page_next_older(host: Actor, alice: Actor, connection: Connection) -> None:
    """`before` excludes its message and reads away from it, towards the past."""
    room = host.create_room(alice)
    ids = fill(room, alice, 9, connection)

    page = read_page(alice, f"/api/rooms/{room}/messages/", before=ids[4], limit=3)

    assert [message["id"] for message in page["results"]] == [ids[3], ids[2], ids[1]]


def test_after_is_the_page_next_newer(host: Actor, alice: Actor, connection: Connection) -> None:
    """`after` excludes its message and gives its nearest successors, still newest first."""
    room = host.create_room(alice)
    ids = fill(room, alice, 9, connection)

    page = read_page(alice, f"/api/rooms/{room}/messages/", after=ids[4], limit=3)

    assert [message["id"] for message in page["results"]] == [ids[7], ids[6], ids[5]]


@pytest.mark.parametrize(
    "limit, seqs",
    [(1, [5]), (2, [5, 4]), (3, [6, 5, 4]), (4, [6, 5, 4, 3]), (200, [9, 8, 7, 6, 5, 4, 3, 2, 1])],
)
def test_around_has_its_message_in_the_middle(
    host: Actor, alice: Actor, connection: Connection, limit: int, seqs: list[int]
) -> None:
    """`around` gives its message with as many neighbours on both sides as the limit allows."""
    room = host.create_room(alice)
    ids = fill(room, alice, 9, connection)

    page = read_page(alice, f"/api/rooms/{room}/messages/", around=ids[4], limit=limit)

    assert [message["seq"] for message in page["results"]] == seqs


def test_around_leads_on_in_both_directions(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """From the middle of a room, both walks together meet every message once."""
    room = host.create_room(alice)
    ids = fill(room, alice, 9, connection)
    middle = read_page(alice, f"/api/rooms/{room}/messages/", around=ids[4], limit=2)

    older = flatten(follow(alice, "next", middle))
    newer = flatten(follow(alice, "previous", middle)[:0:-1])

    assert [message["id"] for message in newer + older] == ids[::-1]


def test_the_ends_lead_nowhere(host: Actor, alice: Actor, connection: Connection) -> None:
    """Beyond the newest and the oldest message there is an empty page, not an error."""
    room = host.create_room(alice)
    ids = fill(room, alice, 3, connection)
    path = f"/api/rooms/{room}/messages/"

    assert read_page(alice, path, after=ids[-1])["results"] == []
    assert read_page(alice, path, before=ids[0])["results"] == []
    assert read_page(alice, path, after=ids[0])["previous"] is None
    assert read_page(alice, path, before=ids[-1])["next"] is None


@pytest.mark.parametrize("limit", [1, 200])
def test_a_page_has_1_to_200_messages(host: Actor, alice: Actor, limit: int) -> None:
    """Both ends of the range are allowed."""
    room = host.create_room(alice)

    assert alice.get(f"/api/rooms/{room}/messages/", limit=limit).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=-1", "limit=+1", "limit=", "limit=1.0", "limit=1e1"),
        *("limit=01", "limit=%EF%BC%91", "limit=%FF", "limit=%00", "limit=ten", "limit=5&limit=5"),
        f"limit={10**40}",
    ],
)
def test_any_other_limit_is_refused(host: Actor, alice: Actor, query: str) -> None:
    """A limit is one plain number in its range, or the answer names it."""
    room = host.create_room(alice)

    answer = alice.get(f"/api/rooms/{room}/messages/?{query}")

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "limit"


@pytest.mark.parametrize("name", ["before", "after", "around"])
@pytest.mark.parametrize("value", ["0", "-1", "", "x", "1.5", "%00", str(2**63), str(10**40)])
def test_what_is_no_id_is_no_anchor(host: Actor, alice: Actor, name: str, value: str) -> None:
    """An anchor that cannot be a message id is refused by its name."""
    room = host.create_room(alice)
    alice.send(room, "hello")

    answer = alice.get(f"/api/rooms/{room}/messages/?{name}={value}")

    assert answer.status_code == 422
    assert answer.json()["pointer"] == name


@pytest.mark.parametrize("name", ["before", "after", "around"])
def test_a_message_of_another_room_is_no_anchor(host: Actor, alice: Actor, name: str) -> None:
    """An anchor is a message of the same room: one of another room is as unknown as none at all."""
    room, other = host.create_room(alice), host.create_room(alice)
    alice.send(room, "here")
    elsewhere = alice.send(other, "there").json()["id"]
    path = f"/api/rooms/{room}/messages/"

    foreign = alice.get(path, **{name: elsewhere})
    unknown = alice.get(path, **{name: 2**63 - 1})

    assert foreign.status_code == unknown.status_code == 422
    assert foreign.content == unknown.content
    assert foreign.json()["pointer"] == name


@pytest.mark.parametrize("pair", [("before", "after"), ("after", "around"), ("before", "around")])
def test_two_anchors_exclude_each_other(host: Actor, alice: Actor, pair: tuple[str, str]) -> None:
    """A page has one anchor, even where two would agree."""
    room = host.create_room(alice)
    message = alice.send(room, "hello").json()["id"]

    answer = alice.get(f"/api/rooms/{room}/messages/", **dict.fromkeys(pair, message))

    assert answer.status_code == 422
    assert answer.json()["pointer"] == pair[1]


def test_a_stranger_learns_nothing(host: Actor, alice: Actor, charlie: Actor) -> None:
    """A stranger gets the answer for an unknown room, whatever message is the anchor."""
    room = host.create_room(alice)
    message = alice.send(room, "secret").json()["id"]
    path = f"/api/rooms/{room}/messages/"

    unknown = charlie.get(f"/api/rooms/{10**12}/messages/")
    answers = [charlie.get(path), charlie.get(path, before=message), charlie.get(path, after=1)]

    assert unknown.status_code == 404
    assert {answer.content for answer in answers} == {unknown.content}


def test_who_left_reads_no_more(host: Actor, alice: Actor, bob: Actor) -> None:
    """Membership is asked at each request: the past of a room closes with it."""
    room = host.create_room(alice, bob)
    alice.send(room, "hello")
    bob.post(f"/api/rooms/{room}/leave/")

    assert bob.get(f"/api/rooms/{room}/messages/").status_code == 404


def test_links_carry_the_limit(host: Actor, alice: Actor, connection: Connection) -> None:
    """A link is a whole address that leads to this list, with the page size that was asked for."""
    room = host.create_room(alice)
    ids = fill(room, alice, 3, connection)

    page = read_page(alice, f"/api/rooms/{room}/messages", limit=1, before=ids[2])

    address = f"{alice.http.base_url}/api/rooms/{room}/messages/?limit=1".replace("//api", "/api")
    assert page["next"] == f"{address}&before={ids[1]}"
    assert page["previous"] == f"{address}&after={ids[1]}"
