"""Messages and members in the admin: deleting and removing, one and many."""

from typing import Any

from django.test import Client

from tests.admin.staff import Stage, read_messages

MESSAGES = "/admin/chat/message/"
MEMBERS = "/admin/chat/member/"


def delete_chosen(staff: Client, address: str, *keys: object, **fields: Any) -> Any:
    """Confirm the deletion of the rows with these keys."""
    form = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
    return staff.post(address, form | fields)


def test_a_message_is_deleted_for_everyone(staff: Client, stage: Stage) -> None:
    """The text is removed, the place stays, and the members receive `message_deleted`."""
    room = stage.make_room(stage.alice)
    message = stage.send(room, stage.alice, "a secret")
    asked = staff.get(f"{MESSAGES}{message}/delete/")

    answer = staff.post(f"{MESSAGES}{message}/delete/", {"post": "yes"})

    assert "a secret" in asked.text
    assert answer.status_code == 302
    (payload,) = stage.list_published(room, after=2)
    assert payload["data"]["type"] == "message_deleted"
    assert payload["data"]["body"]["id"] == message
    assert payload["data"]["body"]["content"] == ""
    page = staff.get(f"{MESSAGES}{message}/change/").text
    assert '<em class="deleted-message">deleted</em>' in page
    assert "a secret" not in page


def test_a_deleted_message_is_not_offered_again(staff: Client, stage: Stage) -> None:
    """There is nothing left to delete, and asking for it changes nothing."""
    room = stage.make_room(stage.alice)
    message = stage.send(room, stage.alice)
    stage.delete(message)

    assert "deletelink" not in staff.get(f"{MESSAGES}{message}/change/").text
    assert staff.post(f"{MESSAGES}{message}/delete/", {"post": "yes"}).status_code == 403
    assert stage.read_version(room) == 3


def test_several_messages_are_deleted_at_once(staff: Client, stage: Stage) -> None:
    """Each that still has a text is one event; those deleted before are left as they are."""
    room, other = stage.make_room(stage.alice), stage.make_room(stage.alice)
    first, second, before = (stage.send(room, stage.alice) for _ in range(3))
    third = stage.send(other, stage.alice)
    stage.delete(before)

    answer = delete_chosen(staff, MESSAGES, third, before, second, first)

    assert answer.status_code == 302
    told = [payload["data"] for payload in stage.list_published(room, after=5)]
    assert [(event["type"], event["body"]["id"]) for event in told] == [
        ("message_deleted", first),
        ("message_deleted", second),
    ]
    assert [p["data"]["type"] for p in stage.list_published(other, after=2)] == ["message_deleted"]
    assert "Deleted before, and left as they are: 1." in read_messages(staff.get(MESSAGES))


def test_a_busy_room_undoes_the_whole_action(staff: Client, stage: Stage) -> None:
    """Where one room is locked, no message of any room is deleted, and the list says so."""
    room, locked = stage.make_room(stage.alice), stage.make_room(stage.alice)
    message, other = stage.send(room, stage.alice), stage.send(locked, stage.alice)

    with stage.connection.transaction():
        stage.connection.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [locked])
        answer = delete_chosen(staff, MESSAGES, message, other)

    assert answer.status_code == 302
    assert "The room is busy. Nothing was changed; try again." in read_messages(
        staff.get(answer.url)
    )
    assert (stage.read_version(room), stage.read_version(locked)) == (2, 2)
    assert "Deleted" not in staff.get(f"{MESSAGES}{message}/history/").text


def test_a_locked_room_is_said_to_be_busy(staff: Client, stage: Stage) -> None:
    """Deleting one message waits no longer either."""
    room = stage.make_room(stage.alice)
    address = f"{MESSAGES}{stage.send(room, stage.alice)}/delete/"

    with stage.connection.transaction():
        stage.connection.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room])
        answer: Any = staff.post(address, {"post": "yes"})

    assert "The room is busy. Nothing was changed; try again." in read_messages(
        staff.get(answer.url)
    )
    assert stage.read_version(room) == 2


def test_an_action_is_bounded(staff: Client, stage: Stage) -> None:
    """All rows of the table at once, too many, or no keys at all: refused in words."""
    room = stage.make_room(stage.alice)
    message = stage.send(room, stage.alice)

    for keys, select_across in (
        ([message], "1"),
        (range(201), ""),
        (["1 OR 1=1"], ""),
        ([2**70], ""),
    ):
        answer = delete_chosen(staff, MESSAGES, *keys, select_across=select_across)
        (text,) = read_messages(staff.get(answer.url))
        assert "Nothing was changed." in text
    assert stage.read_version(room) == 2


def test_messages_are_found(staff: Client, stage: Stage) -> None:
    """By room, by user, by id, or by several of these; what can be nothing finds nothing."""
    room, other = stage.make_room(stage.alice, stage.bob), stage.make_room(stage.alice)
    message = stage.send(room, stage.alice, "needle-1")
    stage.send(room, stage.bob, "needle-2")
    stage.send(other, stage.alice, "needle-3")

    def find(**terms: str | int) -> list[int]:
        text = staff.get(MESSAGES, terms).text
        return [number for number in (1, 2, 3) if f"needle-{number}" in text]

    assert find(room=room) == [1, 2]
    assert find(user=stage.alice) == [1, 3]
    assert find(room=room, user=stage.bob) == [2]
    assert find(id=message) == [1]
    assert find(room=room, id=message, user=stage.bob) == []
    for nonsense in ({"room": "x"}, {"id": "9" * 30}, {"user": "a\0b"}, {"room": "-1"}):
        assert find(**nonsense) == []


def test_a_list_is_walked_in_both_directions(staff: Client, stage: Stage) -> None:
    """Every message of a room is on exactly one page, forwards and back again."""
    room = stage.make_room(stage.alice)
    for _ in range(120):
        stage.send(room, stage.alice)

    def read_page(address: str) -> tuple[list[str], dict[str, str]]:
        text = staff.get(address).text
        seqs = [part.split("<")[0] for part in text.split('<td class="field-seq">')[1:]]
        paginator = text.split('<p class="paginator">')[1].split("</p>")[0]
        links = [part.split('"') for part in paginator.split("<a ")]
        return seqs, {part[3]: MESSAGES + part[1].replace("&amp;", "&") for part in links[1:]}

    first, links = read_page(f"{MESSAGES}?room={room}")
    second, more = read_page(links["next"])
    third, last = read_page(more["next"])

    assert first + second + third == [str(seq) for seq in range(120, 0, -1)]
    assert (set(links), set(more), set(last)) == ({"next"}, {"prev", "next"}, {"prev"})
    assert read_page(last["prev"])[0] == second
    assert read_page(more["prev"]) == (first, links)
    assert staff.get(f"{MESSAGES}?room={room}&p=after.x").status_code == 200


def test_an_address_cannot_ask_for_what_no_index_finds(staff: Client) -> None:
    """Lookups by hand are refused, and a column cannot be sorted by."""
    assert staff.get(f"{MESSAGES}?content__contains=x").status_code == 400
    assert staff.get(f"{MESSAGES}?room__name=x").status_code == 400
    assert staff.get(f"{MESSAGES}?o=3").status_code == 200


def test_a_member_is_removed(staff: Client, stage: Stage) -> None:
    """Removing a member from the list is a `user_left` for everyone, the leaver too."""
    room = stage.make_room(stage.alice, stage.bob)
    member = stage.find_member(room, stage.bob)

    answer = staff.post(f"{MEMBERS}{member}/delete/", {"post": "yes"})

    assert answer.status_code == 302
    (payload,) = stage.list_published(room, after=2)
    assert payload["data"]["type"] == "user_left"
    assert payload["data"]["body"]["user"] == stage.bob
    assert f"personal:{stage.bob}" in payload["channels"]


def test_several_members_are_removed(staff: Client, stage: Stage) -> None:
    """Each of them is an event of its room."""
    room, other = stage.make_room(stage.alice, stage.bob), stage.make_room(stage.bob)
    keys = [stage.find_member(room, stage.bob), stage.find_member(room, stage.alice)]

    delete_chosen(staff, MEMBERS, *keys, stage.find_member(other, stage.bob))

    assert stage.list_members(room) == stage.list_members(other) == []
    assert (stage.read_version(room), stage.read_version(other)) == (4, 2)
