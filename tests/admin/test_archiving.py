"""Archiving and restoring rooms in the admin, and what is shown of a room."""

from typing import Any

from django.test import Client

from chat.actions.caller import Caller
from chat.actions.room_changes import change_room
from chat.actions.room_deletions import delete_room
from chat.sql.database import run_call
from tests.admin.staff import Stage, read_messages

LIST = "/admin/chat/room/"
HOST = Caller("service", "host")


def act(staff: Client, action: str, *rooms: int) -> Any:
    """Carry out an action with rooms of the list, and follow the redirect."""
    form = {"action": action, "_selected_action": [str(room) for room in rooms]}
    return staff.post(LIST, form, follow=True)


def list_audited(stage: Stage, room: int) -> list[tuple[str, str]]:
    """Return what was kept of the room's changes by staff."""
    rows = stage.connection.execute(
        "SELECT action, actor_kind FROM chat_audit WHERE room_id = %s"
        " AND action IN ('room_archived', 'room_restored', 'room_changed') ORDER BY id",
        [room],
    )
    return [(row["action"], row["actor_kind"]) for row in rows]


def test_rooms_are_archived_and_restored(staff: Client, stage: Stage) -> None:
    """Each is one event and one entry of the audit; what is so already changes nothing."""
    one, other = stage.make_room(stage.alice), stage.make_room(stage.alice)

    answer = act(staff, "archive_rooms", one, other)
    act(staff, "archive_rooms", one)
    act(staff, "restore_rooms", one)

    assert read_messages(answer) == ["Archived rooms: 2."]
    assert (stage.read_version(one), stage.read_version(other)) == (3, 2)
    assert list_audited(stage, one) == [("room_archived", "staff"), ("room_restored", "staff")]
    shown = [payload["data"]["body"]["archived_at"] for payload in stage.list_published(one, 1)]
    assert [moment is None for moment in shown] == [False, True]


def test_a_page_shows_what_the_room_is(staff: Client, stage: Stage) -> None:
    """Its kind, its history, the host's key with nothing hidden in it, and since when archived."""
    room = stage.make_room(stage.alice)
    key = f"team\u202e-{room}"
    changes = {"kind": "private", "external_id": key, "history": "since_join", "archived": True}
    run_call(stage.connection, change_room(HOST, room, changes))

    page = staff.get(f"{LIST}{room}/change/").text

    for text in ("private", "since_join", f"team‹U+202E›-{room}", "<time "):
        assert text in page
    assert key not in page


def test_a_deleted_room_is_not_in_the_admin(staff: Client, stage: Stage) -> None:
    """Neither in the list nor on a page of its own, also while its rows are deleted."""
    room = stage.make_room(stage.alice, name=f"gone of {stage.alice}")
    run_call(stage.connection, delete_room(HOST, room))

    assert staff.get(f"{LIST}{room}/change/").status_code == 302
    assert f"gone of {stage.alice}" not in staff.get(LIST, {"q": stage.alice}).text


def test_renaming_is_kept_with_who_did_it(staff: Client, stage: Stage) -> None:
    """A name that staff changes is in the audit as one that an owner changes."""
    room = stage.make_room(stage.alice)
    form = {"name": "salon", "add_users": "", "member_set-TOTAL_FORMS": "0"}

    staff.post(f"{LIST}{room}/change/", form | {"member_set-INITIAL_FORMS": "0"})

    assert list_audited(stage, room) == [("room_changed", "staff")]
