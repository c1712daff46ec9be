"""Rooms in the admin: every change is what the API would have done, events and all."""

from typing import Any

import pytest
from django.test import Client

from chat.conf import MEMBERS_PER_CALL
from tests.admin.staff import Stage, read_errors, read_messages

ADD = "/admin/chat/room/add/"


def change_room(staff: Client, room: int, **fields: Any) -> Any:
    """Save a room's page as a browser does, without following the redirect."""
    form = {"name": "general", "add_users": "", "member_set-TOTAL_FORMS": "0"}
    form |= {"member_set-INITIAL_FORMS": "0"}
    return staff.post(f"/admin/chat/room/{room}/change/", form | fields)


def tick_members(stage: Stage, room: int, ticked: list[str], *shown: str) -> dict[str, str]:
    """Return the fields of the members' table with some of them ticked for removal."""
    fields = {
        "member_set-TOTAL_FORMS": str(len(shown)),
        "member_set-INITIAL_FORMS": str(len(shown)),
    }
    for index, user_id in enumerate(shown):
        fields[f"member_set-{index}-id"] = str(stage.find_member(room, user_id))
        if user_id in ticked:
            fields[f"member_set-{index}-DELETE"] = "on"
    return fields


def list_told(stage: Stage, room: int, after: int = 0) -> list[tuple[str, str | None]]:
    """Return the type and the user of each event queued after a version."""
    told = [payload["data"] for payload in stage.list_published(room, after)]
    return [(event["type"], event["body"].get("user")) for event in told]


def test_a_room_is_created_with_its_members(staff: Client, stage: Stage) -> None:
    """The members of a new room receive an event for each of them, as with the API."""
    answer = staff.post(ADD, {"name": "Ops", "add_users": f"{stage.alice}\r\n{stage.bob}\r\n"})

    assert answer.status_code == 302
    (row,) = stage.connection.execute(
        "SELECT room_id FROM chat_member WHERE user_id = %s", [stage.alice]
    )
    room = row["room_id"]
    told = stage.list_published(room)
    assert list_told(stage, room) == [("user_joined", stage.alice), ("user_joined", stage.bob)]
    everyone = [f"personal:{stage.alice}", f"personal:{stage.bob}"]
    assert [payload["channels"] for payload in told] == [everyone, everyone]
    assert told[0]["data"]["body"]["room"]["name"] == "Ops"


def test_a_room_without_members_can_be_created(staff: Client, stage: Stage) -> None:
    """Members are optional; without them no event is sent."""
    name = f"empty-{stage.alice}"

    assert staff.post(ADD, {"name": name, "add_users": ""}).status_code == 302

    (row,) = stage.connection.execute(
        "SELECT version, member_count FROM chat_room WHERE name = %s", [name]
    )
    assert row == {"version": 0, "member_count": 0}


def test_a_room_is_renamed(staff: Client, stage: Stage) -> None:
    """The members receive the new name; the room's log and history in the admin show it."""
    room = stage.make_room(stage.alice)

    answer = change_room(staff, room, name=" Ops ")

    assert answer.status_code == 302
    (payload,) = stage.list_published(room, after=1)
    assert payload["data"]["type"] == "room_updated"
    assert payload["data"]["body"]["room"]["name"] == " Ops "
    assert payload["data"]["body"]["room"]["version"] == 2
    assert "Changed name." in staff.get(f"/admin/chat/room/{room}/history/").text


def test_saving_without_a_change_tells_nobody(staff: Client, stage: Stage) -> None:
    """The same name and no users to add: no version, no event."""
    room = stage.make_room(stage.alice, name=" spaced ")

    assert change_room(staff, room, name=" spaced ").status_code == 302

    assert stage.read_version(room) == 1


def test_users_are_added(staff: Client, stage: Stage) -> None:
    """New users become members, members stay members, and the page says how many of each."""
    room = stage.make_room(stage.alice)

    answer = change_room(staff, room, add_users=f"{stage.bob}\n\n{stage.alice}\n{stage.bob}")

    assert list_told(stage, room, after=1) == [("user_joined", stage.bob)]
    assert stage.list_members(room) == [stage.alice, stage.bob]
    assert "New members: 1. 1 had been before." in read_messages(staff.get(answer.url))


def test_members_are_removed(staff: Client, stage: Stage) -> None:
    """A ticked member is removed; that user and the other members receive an event."""
    room = stage.make_room(stage.alice, stage.bob)

    change_room(staff, room, **tick_members(stage, room, [stage.bob], stage.alice, stage.bob))

    (payload,) = stage.list_published(room, after=2)
    assert payload["data"]["type"] == "user_left"
    assert payload["channels"] == [f"personal:{stage.alice}", f"personal:{stage.bob}"]
    assert stage.list_members(room) == [stage.alice]


def test_everything_of_one_page_happens_at_once(staff: Client, stage: Stage) -> None:
    """A rename, a removal and an addition are three events with versions in a row."""
    room = stage.make_room(stage.alice, stage.bob)
    fields = tick_members(stage, room, [stage.alice], stage.alice, stage.bob)

    change_room(staff, room, name="Ops", add_users=stage.charlie, **fields)

    assert list_told(stage, room, after=2) == [
        ("room_updated", None),
        ("user_left", stage.alice),
        ("user_joined", stage.charlie),
    ]
    assert stage.read_version(room) == 5


def test_who_left_meanwhile_is_no_error(staff: Client, stage: Stage) -> None:
    """A row that is gone when the page is saved shifts nothing: the ticked row is removed."""
    room = stage.make_room(stage.alice, stage.bob, stage.charlie)
    shown = sorted([stage.alice, stage.bob, stage.charlie])
    fields = tick_members(stage, room, [stage.bob, stage.charlie], *shown)
    gone = stage.find_member(room, stage.bob)
    stage.connection.execute("DELETE FROM chat_member WHERE id = %s", [gone])

    assert change_room(staff, room, **fields).status_code == 302

    assert stage.list_members(room) == [stage.alice]


def show_members(stage: Stage, room: int, **members: dict[str, str]) -> dict[str, str]:
    """Return the fields of the members' table as a browser sends them; `members` by attribute.

    Each has what the page had shown, `role` and `muted_until`, and as `new_…` what was typed.
    """
    fields = tick_members(stage, room, [], *(getattr(stage, name) for name in members))
    for index, member in enumerate(members.values()):
        for name in ("role", "muted_until"):
            shown = member.get(name, "member" if name == "role" else "")
            fields[f"initial-member_set-{index}-{name}"] = shown
            fields[f"member_set-{index}-{name}"] = member.get(f"new_{name}", shown)
    return fields


def read_member(stage: Stage, room: int, user_id: str) -> tuple[str, str | None]:
    """Return the role and the mute of a member."""
    (row,) = stage.connection.execute(
        "SELECT role, chat.time_text(muted_until) AS until FROM chat_member"
        " WHERE room_id = %s AND user_id = %s",
        [room, user_id],
    )
    return row["role"], row["until"]


def test_roles_and_mutes_are_changed(staff: Client, stage: Stage) -> None:
    """One page changes several members: one event for each, by the member of staff."""
    room = stage.make_room(stage.alice, stage.bob)
    page = staff.get(f"/admin/chat/room/{room}/change/").content.decode()
    assert 'name="member_set-0-role"' in page
    assert 'name="initial-member_set-0-muted_until"' in page

    answer = change_room(
        staff,
        room,
        **show_members(
            stage,
            room,
            alice={"new_role": "owner"},
            bob={"new_role": "moderator", "new_muted_until": "2999-12-31 18:00"},
        ),
    )

    assert answer.status_code == 302
    assert read_member(stage, room, stage.alice) == ("owner", None)
    assert read_member(stage, room, stage.bob) == ("moderator", "2999-12-31T18:00:00.000000Z")
    told = [("member_updated", stage.alice), ("member_updated", stage.bob)]
    assert list_told(stage, room, after=2) == told
    entries = stage.connection.execute(
        "SELECT DISTINCT actor_kind, actor, address FROM chat_audit WHERE user_id = ANY (%s)",
        [[stage.alice, stage.bob]],
    ).fetchall()
    ((kind, actor, address),) = (entry.values() for entry in entries)
    assert (kind, address) == ("staff", "127.0.0.1")
    assert actor


def test_a_room_is_handed_over_on_one_page(staff: Client, stage: Stage) -> None:
    """The new owner comes first, whatever the order of the rows; the only one is not demoted."""
    room = stage.make_room(stage.alice, stage.bob)
    change_room(staff, room, **show_members(stage, room, alice={"new_role": "owner"}, bob={}))
    owned = {"role": "owner", "new_role": "member"}

    refused = change_room(staff, room, **show_members(stage, room, alice=owned, bob={}))
    assert "only owner" in read_errors(refused)
    moved = show_members(stage, room, alice=owned, bob={"new_role": "owner"})
    accepted = change_room(staff, room, **moved)

    assert accepted.status_code == 302
    assert read_member(stage, room, stage.alice)[0] == "member"
    assert read_member(stage, room, stage.bob)[0] == "owner"


def test_a_page_that_stayed_open_takes_nothing_back(staff: Client, stage: Stage) -> None:
    """What others changed since the page was read stays, if the person did not type it."""
    room = stage.make_room(stage.alice, stage.bob)
    opened = show_members(stage, room, alice={}, bob={"new_role": "moderator"})
    change_room(
        staff,
        room,
        **show_members(
            stage, room, alice={"new_role": "owner", "new_muted_until": "2999-01-01 00:00:00"}
        ),
    )

    assert change_room(staff, room, **opened).status_code == 302

    assert read_member(stage, room, stage.alice) == ("owner", "2999-01-01T00:00:00.000000Z")
    assert read_member(stage, room, stage.bob)[0] == "moderator"


def test_a_mute_is_lifted(staff: Client, stage: Stage) -> None:
    """An emptied field lifts the mute; a time that is past, or is none, is an error of the form."""
    room = stage.make_room(stage.alice)
    muted = "2999-01-01 00:00:00"
    change_room(staff, room, **show_members(stage, room, alice={"new_muted_until": muted}))

    for wrong in ("2001-01-01 00:00", "tomorrow"):
        typed = {"muted_until": muted, "new_muted_until": wrong}
        answer = change_room(staff, room, **show_members(stage, room, alice=typed))
        assert read_errors(answer), wrong
    assert read_member(stage, room, stage.alice)[1] == "2999-01-01T00:00:00.000000Z"
    typed = {"muted_until": muted, "new_muted_until": ""}
    change_room(staff, room, **show_members(stage, room, alice=typed))

    assert read_member(stage, room, stage.alice)[1] is None
    assert len(list_told(stage, room, after=1)) == 2


def test_a_member_of_another_room_cannot_be_removed_here(staff: Client, stage: Stage) -> None:
    """A row's key made by hand reaches only the room of the page."""
    room, other = stage.make_room(stage.alice), stage.make_room(stage.alice)

    change_room(staff, room, **tick_members(stage, other, [stage.alice], stage.alice))

    assert stage.list_members(other) == [stage.alice]


@pytest.mark.parametrize(
    "fields, error",
    [
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 256}, "at most 255 characters"),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"add_users": "x" * 129}, "A user id has 1 to 128 characters."),
        ({"add_users": "fine\nta\tb"}, "A user id has no control characters."),
        ({"add_users": "я" * 100}, "too long for a channel name"),
        ({"add_users": "alice "}, "begins or ends with a space"),
        ({"add_users": "\n".join(map(str, range(MEMBERS_PER_CALL + 1)))}, "At most 1,000 users"),
    ],
)
def test_what_cannot_be_is_an_error_of_the_form(
    staff: Client, stage: Stage, fields: dict[str, str], error: str
) -> None:
    """A mistake is named beside its field, and nothing of the page happens."""
    room = stage.make_room(stage.alice)

    answer = change_room(staff, room, **({"name": "Renamed"} | fields))

    assert answer.status_code == 200
    assert error in read_errors(answer)
    assert stage.read_version(room) == 1
    assert staff.post(ADD, {"name": "New", "add_users": ""} | fields).status_code == 200


def test_a_locked_room_is_said_to_be_busy(staff: Client, stage: Stage) -> None:
    """The page waits two seconds at most, keeps what was typed, and nothing of it happened."""
    room = stage.make_room(stage.alice)

    with stage.connection.transaction():
        stage.connection.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room])
        answer = change_room(staff, room, add_users=stage.bob, name="Typed before")

    assert answer.status_code == 200
    assert "The room is busy. Nothing was changed; try again." in read_errors(answer)
    assert "Typed before" in answer.text
    assert stage.bob in answer.text
    assert stage.read_version(room) == 1
    assert "Changed" not in staff.get(f"/admin/chat/room/{room}/history/").text


def test_a_refusal_takes_back_what_came_before_it(staff: Client, stage: Stage) -> None:
    """Where the last step of a page fails, its first ones and its log entry are undone."""
    room = stage.make_room(stage.alice)
    stage.connection.execute(
        f"CREATE FUNCTION refuse_{room}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.room_id = {room} THEN RAISE EXCEPTION USING ERRCODE = 'lock_not_available'; "
        f"END IF; RETURN NEW; END $$".encode()
    )
    stage.connection.execute(
        f"CREATE TRIGGER refuse_{room} BEFORE INSERT ON chat_member "
        f"FOR EACH ROW EXECUTE FUNCTION refuse_{room}()".encode()
    )
    try:
        answer = change_room(staff, room, name="Half", add_users=stage.bob)
    finally:
        stage.connection.execute(f"DROP TRIGGER refuse_{room} ON chat_member".encode())

    assert answer.status_code == 200
    assert stage.read_version(room) == 1
    assert stage.list_published(room, after=1) == []


def test_rooms_are_never_deleted(staff: Client, stage: Stage) -> None:
    """Not even a superuser is offered it: a room's history refers to it."""
    room = stage.make_room()

    assert staff.post(f"/admin/chat/room/{room}/delete/", {"post": "yes"}).status_code == 403
    assert "deletelink" not in staff.get(f"/admin/chat/room/{room}/change/").text
    assert "delete_selected" not in staff.get("/admin/chat/room/").text


def test_rooms_are_found_by_name_and_id(staff: Client, stage: Stage) -> None:
    """Any part of the name in either case, any spelling and any script, or the exact id."""
    room = stage.make_room(name=f"Мой İstanbul {stage.alice}")
    spelled = f"МОИ\u0306 ıSTANBUL {stage.alice.upper()}"

    for text in (f"МОЙ İSTANBUL {stage.alice.upper()}", spelled, str(room)):
        answer = staff.get("/admin/chat/room/", {"q": text})
        assert f"/admin/chat/room/{room}/change/" in answer.text
    assert "0 rooms" in staff.get("/admin/chat/room/", {"q": f"%{stage.alice}"}).text
