"""GET /api/rooms/{id}/members/"""

import base64
import json

import pytest

from tests.contract.pages import flatten, follow, last_page, read_page
from tests.support.actors import Actor


def test_members_come_by_user_id(host: Actor, alice: Actor, bob: Actor) -> None:
    """A member sees all members, in the order of their ids, with the time of joining."""
    room = host.create_room(bob, alice)

    page = read_page(alice, f"/api/rooms/{room}/members/")

    joined_at = page["results"][0]["joined_at"]
    assert page == {
        "next": None,
        "previous": None,
        "results": [
            {"user": alice.user_id, "joined_at": joined_at, "role": "member"},
            {"user": bob.user_id, "joined_at": joined_at, "role": "member"},
        ],
    }


def test_ids_are_ordered_byte_by_byte(host: Actor, alice: Actor) -> None:
    """The order is that of UTF-8 bytes, the same in every locale, and pages keep to it."""
    names = ["Z", "a", "a b", "a/b", "A", "é", "e\u0301", "Ж", "🙂", "\uffee", "~", " "]
    room = host.create_room(alice, *names)
    first = read_page(alice, f"/api/rooms/{room}/members/", limit=2)

    walked = [member["user"] for member in flatten(follow(alice, "next", first))]

    assert walked == sorted([alice.user_id, *names], key=str.encode)


@pytest.mark.parametrize("limit", [1, 3, 4, 9, 10])
def test_walking_to_the_end_and_back_meets_every_member_once(
    host: Actor, alice: Actor, limit: int
) -> None:
    """Along `next`, and from the end along `previous`, each member is on exactly one page."""
    names = [f"{alice.user_id}-{n}" for n in range(8)]
    room = host.create_room(alice, *names)
    first = read_page(alice, f"/api/rooms/{room}/members/", limit=limit)

    down = follow(alice, "next", first)
    up = follow(alice, "previous", last_page(alice, first))

    assert [member["user"] for member in flatten(down)] == [alice.user_id, *names]
    assert flatten(up[::-1]) == flatten(down)


def test_members_who_come_and_go_shift_nothing(host: Actor, alice: Actor) -> None:
    """A reader in the middle of the list misses no member who stays, and sees none twice."""
    names = [f"{alice.user_id}-{n}" for n in range(1, 6)]
    room = host.create_room(alice, *names)
    first = read_page(alice, f"/api/rooms/{room}/members/", limit=3)
    host.post(f"/api/rooms/{room}/members/", {"users": [f"{alice.user_id}-0"]})
    host.delete(f"/api/rooms/{room}/members/{names[1]}/")

    rest = follow(alice, "next", read_page(alice, first["next"]))

    assert [member["user"] for member in flatten(rest)] == names[2:]


def test_a_page_holds_50_members_by_default(host: Actor, alice: Actor) -> None:
    """Without `limit` a page has 50 members."""
    room = host.create_room(alice, *[f"{alice.user_id}-{n}" for n in range(50)])

    pages = follow(alice, "next", read_page(alice, f"/api/rooms/{room}/members/"))

    assert [len(page) for page in pages] == [50, 1]


def test_a_stranger_is_told_what_an_unknown_room_tells(
    host: Actor, alice: Actor, charlie: Actor
) -> None:
    """A room that is not yours answers byte for byte like a room that does not exist."""
    room = host.create_room(alice)

    forbidden = charlie.get(f"/api/rooms/{room}/members/")
    unknown = charlie.get(f"/api/rooms/{10**12}/members/")

    assert forbidden.status_code == unknown.status_code == 404
    assert forbidden.content == unknown.content


def test_who_left_reads_no_more(host: Actor, alice: Actor, bob: Actor) -> None:
    """Membership is asked at each request, with a cursor too."""
    room = host.create_room(alice, bob)
    link = read_page(bob, f"/api/rooms/{room}/members/", limit=1)["next"]
    bob.post(f"/api/rooms/{room}/leave/")

    assert bob.get(link).status_code == 404


@pytest.mark.parametrize(
    "cursor",
    [
        *([False, "\x00"], [False, "a\x00"], [False, "a\n"], [False, ""], [False, 1]),
        *([False, None], [False, ["a"]], [False], ["a", "a"], [], {}, None, 5),
        [True, "x" * 129],
        [True, "ж" * 128],
    ],
)
def test_a_crafted_cursor_is_refused(host: Actor, alice: Actor, cursor: object) -> None:
    """A cursor that the list did not write is refused, however well it is encoded."""
    room = host.create_room(alice)
    text = base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()

    answer = alice.get(f"/api/rooms/{room}/members/", cursor=text)

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "cursor"


def test_a_cursor_of_another_list_is_refused(host: Actor, alice: Actor) -> None:
    """Lists do not understand each other's cursors, and none of them fails over one."""
    rooms = [host.create_room(alice, "bob") for _ in range(2)]
    of_rooms = read_page(alice, "/api/rooms/", limit=1)["next"].split("cursor=")[1]
    of_members = read_page(alice, f"/api/rooms/{rooms[0]}/members/", limit=1)["next"]

    answers = [
        alice.get(f"/api/rooms/{rooms[0]}/members/?cursor={of_rooms}"),
        alice.get(f"/api/rooms/?cursor={of_members.split('cursor=')[1]}"),
    ]

    assert [answer.status_code for answer in answers] == [422, 422]


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize("role", ["member", "moderator", "owner"])
def test_members_of_one_role(host: Actor, alice: Actor, role: str, limit: int) -> None:
    """With `role` the list has exactly the members with this role, along its pages both ways."""
    names = {
        kind: [f"{alice.user_id}-{kind}-{n}" for n in range(4)]
        for kind in ("member", "moderator", "owner")
    }
    room = host.create_room()
    for kind, users in names.items():
        host.post(f"/api/rooms/{room}/members/", {"users": users, "role": kind})

    first = read_page(host, f"/api/rooms/{room}/members/", role=role, limit=limit)
    down = follow(host, "next", first)
    up = follow(host, "previous", last_page(host, first))

    assert [(member["user"], member["role"]) for member in flatten(down)] == [
        (user, role) for user in names[role]
    ]
    assert flatten(up[::-1]) == flatten(down)


def test_an_unknown_role_is_refused(host: Actor, alice: Actor) -> None:
    """A role that there is not names the parameter and what it may be."""
    room = host.create_room(alice)

    answer = alice.get(f"/api/rooms/{room}/members/", role="admin")

    assert (answer.status_code, answer.json()["pointer"]) == (422, "role")
    assert answer.json()["detail"] == "role must be one of member, moderator, owner."


def test_the_service_reads_the_members_of_any_room(host: Actor, alice: Actor) -> None:
    """The service is a member of nothing, and sees who is in a room; an unknown one is 404."""
    room = host.create_room(alice)

    listed = read_page(host, f"/api/rooms/{room}/members/")["results"]
    member = host.get(f"/api/rooms/{room}/members/{alice.user_id}/")

    assert [entry["user"] for entry in listed] == [alice.user_id]
    assert (member.status_code, member.json()) == (200, listed[0])
    assert host.get(f"/api/rooms/{10**12}/members/").status_code == 404


def test_one_member_is_read(host: Actor, alice: Actor, bob: Actor, charlie: Actor) -> None:
    """A member reads one other as the list shows it; a stranger learns nothing of the room."""
    room = host.create_room(alice, bob)
    path = f"/api/rooms/{room}/members"

    found = alice.get(f"{path}/{bob.user_id}/")

    assert found.status_code == 200
    assert found.json() == read_page(alice, f"{path}/")["results"][1]
    assert alice.get(f"{path}/{charlie.user_id}/").status_code == 404
    unknown = charlie.get(f"/api/rooms/{10**12}/members/{bob.user_id}/")
    for user in (bob, charlie):
        hidden = charlie.get(f"{path}/{user.user_id}/")
        assert (hidden.status_code, hidden.content) == (404, unknown.content)
