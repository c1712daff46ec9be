"""Kinds of rooms, and what a room is created with"""

import secrets
from typing import Any

import pytest

from chat.actions.caller import SERVICE
from chat.actions.direct_rooms import open_direct_room
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.contract.pages import follow, read_page
from tests.support.actors import PLAIN, Actor, describe_my

PATH = "/api/rooms/"
NO_DATA: list[object] = [[], "text", 1, {"a": "x" * 4090}, {"a": "\x00"}]


def create(host: Actor, *members: Actor, **wanted: Any) -> dict[str, Any]:
    """Create a room as the service, and return it."""
    body = {"name": "room", "members": [member.user_id for member in members]} | wanted
    answer = host.post(PATH, body)
    assert answer.status_code == 201, answer.text
    room: dict[str, Any] = answer.json()
    return room


def archive(connection: Connection, room_id: int) -> None:
    """Archive a room."""
    connection.execute("UPDATE chat_room SET archived_at = now() WHERE id = %s", [room_id])


def list_ids(actor: Actor, **query: Any) -> list[int]:
    """Return the ids of the rooms that an actor lists."""
    return [room["id"] for room in read_page(actor, PATH, **query)["results"]]


def search_ids(actor: Actor, text: str) -> set[int]:
    """Return the ids of the rooms that an actor finds."""
    return {room["id"] for room in actor.get("/api/search/", q=text, limit=200).json()["results"]}


def test_a_room_has_what_it_was_created_with(host: Actor, alice: Actor) -> None:
    """Kind, data, history and external id are those of the request, for everyone who reads it."""
    wanted = {
        "kind": "private",
        "data": {"team": 7, "tags": ["a", "ж"], "deep": {"x": None}},
        "history": "since_join",
        "external_id": f"team/{alice.user_id}",
    }

    room = create(host, alice, **wanted)

    assert room == room | PLAIN | wanted | {"my": None}
    (listed,) = read_page(alice, PATH)["results"]
    assert listed == room | {"my": describe_my()}
    assert host.get(f"{PATH}{room['id']}/").json() == room


def test_a_room_of_which_nothing_is_said_is_as_before(host: Actor, alice: Actor) -> None:
    """The seed's request makes a public room with all of its history."""
    assert create(host, alice).items() >= PLAIN.items()


@pytest.mark.parametrize(
    "field, value",
    [
        *(("kind", kind) for kind in ("direct", "secret", "", 1)),
        *(("data", data) for data in NO_DATA),
        *(("history", history) for history in ("none", "", 1, ["all"])),
        *(("external_id", key) for key in ("", "x" * 256, "a\x00b", 5)),
    ],
)
def test_it_names_the_field_that_no_room_can_have(
    host: Actor, alice: Actor, field: str, value: object
) -> None:
    """What a room cannot have is refused with its pointer, and nothing is created."""
    answer = host.post(PATH, {"name": "room", "members": [alice.user_id], field: value})

    assert (answer.status_code, answer.json()["pointer"]) == (422, f"/{field}")
    assert read_page(alice, PATH)["results"] == []


def test_data_has_at_most_4096_bytes(host: Actor) -> None:
    """The limit itself is allowed; it is of the bytes of the JSON, and the error says how many."""
    most = {"a": "ж" * 2044}
    room = create(host, data=most)

    answer = host.post(PATH, {"name": "room", "data": {"a": "ж" * 2044 + "x"}})

    assert room["data"] == most
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/data")
    assert "4,097" in answer.json()["detail"]


def test_a_number_that_json_cannot_carry_is_named(host: Actor) -> None:
    """The pointer is that of the whole object."""
    answer = host.post(
        PATH,
        content=b'{"name":"room","data":{"a":1e999}}',
        headers={"content-type": "application/json"},
    )

    assert (answer.status_code, answer.json()["pointer"]) == (422, "/data")


def test_an_external_id_is_of_one_room(host: Actor, alice: Actor) -> None:
    """A second room with it is 409 and names it; a call that was refused uses up no key."""
    key = f"order:{alice.user_id}"
    first = create(host, external_id=key)
    again = {"name": "other", "members": [alice.user_id], "client_id": key[:64]}

    answer = host.post(PATH, again | {"external_id": key})

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "external_id" in answer.json()["detail"]
    assert list_ids(alice) == []
    assert host.post(PATH, again).status_code == 201
    assert host.get(f"{PATH}{first['id']}/").json()["external_id"] == key


def test_a_key_stands_for_all_that_was_asked_for(host: Actor, alice: Actor) -> None:
    """Any other field is a conflict; what has its default counts as not given."""
    key = f"{alice.user_id} key"
    wanted = {
        "name": "room",
        "kind": "private",
        "data": {"a": 1},
        "history": "since_join",
        "external_id": key,
        "client_id": key,
    }
    plain = {"name": "room", "client_id": f"{key} plain"}
    room, other = create(host, **wanted), create(host, **plain)

    same = host.post(PATH, wanted)
    spelled = host.post(PATH, plain | {"kind": "public", "data": {}, "history": "all"})

    assert (same.status_code, same.json()) == (200, room)
    assert (spelled.status_code, spelled.json()) == (200, other)
    for change in (
        {"kind": "public"},
        {"data": {"a": 2}},
        {"data": None},
        {"history": "all"},
        {"external_id": f"{key} 2"},
        {"external_id": None},
    ):
        answer = host.post(PATH, wanted | change)
        assert (answer.status_code, answer.json()["code"]) == (409, "client_id_conflict"), change


def test_a_key_of_the_release_before_stays_valid(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """What its functions wrote for a name and members is found by the same request today."""
    key = f"{alice.user_id} before"
    row = connection.execute(
        "SELECT room ->> 'id' AS id FROM chat.create_room('room', ARRAY[%s], 'host', %s)",
        [alice.user_id, key],
    ).fetchone()
    assert row is not None

    answer = host.post(PATH, {"name": "room", "members": [alice.user_id], "client_id": key})

    assert (answer.status_code, answer.json()["id"]) == (200, int(row["id"]))


def test_every_kind_is_in_the_list_of_its_members(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, connection: Connection
) -> None:
    """A member lists the public, private and direct rooms, each with its kind; a stranger none."""
    rooms = [create(host, alice, bob, kind=kind)["id"] for kind in ("public", "private")]
    call = open_direct_room([alice.user_id, bob.user_id], by=SERVICE)
    rooms.append(run_call(connection, call).room.id)

    for member in (alice, bob):
        listed = read_page(member, PATH)["results"]
        assert [(room["id"], room["kind"]) for room in listed] == list(
            zip(rooms[::-1], ["direct", "private", "public"], strict=True)
        )
    assert list_ids(charlie) == []


def test_archived_rooms_are_listed_when_asked_for(
    host: Actor, alice: Actor, connection: Connection
) -> None:
    """`archived=true` lists the archived rooms and only these; a page's neighbours keep it."""
    rooms = [create(host, alice)["id"] for _ in range(7)]
    archived = rooms[::2][::-1]
    for room in archived:
        archive(connection, room)

    assert list_ids(alice) == rooms[1::2][::-1]
    assert list_ids(alice, archived="false") == rooms[1::2][::-1]
    assert list_ids(alice, archived="true") == archived
    pages = follow(alice, "next", read_page(alice, PATH, archived="true", limit=3))
    assert [room["id"] for page in pages for room in page] == archived
    assert all(room["archived_at"] for page in pages for room in page)
    shown = alice.get(f"{PATH}{archived[0]}/").json()
    assert shown["archived_at"] is not None


@pytest.mark.parametrize("value", ["yes", "", "TRUE", "2", "true&archived=true"])
def test_archived_is_true_or_false(alice: Actor, value: str) -> None:
    """Any other value is refused by the parameter's name."""
    answer = alice.http.get(f"{PATH}?archived={value}")

    assert (answer.status_code, answer.json()["pointer"]) == (422, "archived")


def test_search_finds_public_rooms_and_own_ones(
    host: Actor, alice: Actor, bob: Actor, charlie: Actor, connection: Connection
) -> None:
    """Private and direct rooms are found by their members and the service, archived by it alone."""
    mark = secrets.token_hex(6)
    public, private, archived, both = (
        create(host, alice, name=f"{mark} {n}", kind=kind)["id"]
        for n, kind in enumerate(["public", "private", "public", "private"])
    )
    archive(connection, archived)
    archive(connection, both)
    call = open_direct_room([f"{mark}-x", alice.user_id, bob.user_id], by=SERVICE)
    direct = run_call(connection, call).room.id

    assert search_ids(charlie, mark) == {public}
    assert search_ids(alice, mark) == {public, private, direct}
    assert search_ids(bob, mark) == {public, direct}
    assert search_ids(host, mark) == {public, private, archived, both, direct}
    (found,) = charlie.get("/api/search/", q=mark).json()["results"]
    assert (found["is_member"], found["my"]) == (False, None)


def test_pages_of_a_search_tell_nothing_of_private_rooms(host: Actor, charlie: Actor) -> None:
    """A search is the same, byte for byte, whether or not private rooms have the text."""
    mark = secrets.token_hex(6)
    for n in range(5):
        create(host, name=f"{mark} {n}")
    walks = [walk_search(charlie, mark)]
    for n in range(7):
        create(host, name=f"{mark} secret {n}", kind="private")

    walks.append(walk_search(charlie, mark))

    assert walks[0] == walks[1]
    assert len(walks[0]) == 3


def walk_search(actor: Actor, text: str) -> list[bytes]:
    """Return the answers of all pages of a search."""
    answers = [actor.get("/api/search/", q=text, limit=2)]
    while (link := answers[-1].json()["next"]) is not None:
        answers.append(actor.http.get(link))
    return [answer.content for answer in answers]


def test_a_member_since_a_while_sees_no_older_last_message(
    host: Actor, alice: Actor, bob: Actor
) -> None:
    """Where history is `since_join`, a room's last message is one sent after the member joined."""
    mark = secrets.token_hex(6)
    room = create(host, alice, name=mark, history="since_join")["id"]
    before = alice.send(room, "before").json()
    host.post(f"{PATH}{room}/members/", {"users": [bob.user_id]})

    def last_messages(actor: Actor) -> list[Any]:
        return [
            actor.get(f"{PATH}{room}/").json()["last_message"],
            read_page(actor, PATH)["results"][0]["last_message"],
            actor.get("/api/search/", q=mark).json()["results"][0]["last_message"],
        ]

    assert last_messages(alice) == [before] * 3
    assert last_messages(bob) == [None] * 3
    assert host.get(f"{PATH}{room}/").json()["last_message"] == before
    after = alice.send(room, "after").json()
    assert last_messages(bob) == [after] * 3


def test_my_settings_are_the_members_own(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """A room shows its reader's role, mute and settings; a hidden one until its next message."""
    room = create(host, alice, bob)["id"]
    connection.execute(
        "UPDATE chat_member SET role = 'moderator', muted_until = '9999-12-31Z', is_muted = true,"
        " hidden_seq = 0, pinned_at = now() WHERE room_id = %s AND user_id = %s",
        [room, alice.user_id],
    )

    my = alice.get(f"{PATH}{room}/").json()["my"]

    assert my == {
        "role": "moderator",
        "muted_until": "9999-12-31T00:00:00.000000Z",
        "settings": {"muted": True, "hidden": True, "pinned": True},
        "rights": my["rights"],
    }
    assert {"add_members", "ban_members"} < set(my["rights"])
    assert bob.get(f"{PATH}{room}/").json()["my"]["settings"]["muted"] is False
    bob.send(room, "hello")
    assert alice.get(f"{PATH}{room}/").json()["my"]["settings"]["hidden"] is False
