"""Bans in the admin: staff sees them all, and lifts them."""

from django.test import Client

from chat.actions.bans import NewBan, ban_from_all_rooms, ban_from_room
from chat.actions.caller import SERVICE
from chat.sql.database import run_call
from tests.admin.staff import Stage


def test_staff_lifts_bans_one_by_one_and_many_at_once(staff: Client, stage: Stage) -> None:
    """The list names room and reason; what is lifted is gone, and the audit says by whom."""
    room = stage.make_room(stage.bob)
    run_call(stage.connection, ban_from_room(room, NewBan(stage.alice, reason="spam"), SERVICE))
    run_call(stage.connection, ban_from_all_rooms(NewBan(stage.alice, reason="fraud"), SERVICE))
    bans = stage.connection.execute(
        "SELECT id FROM chat_ban WHERE user_id = %s ORDER BY id", [stage.alice]
    ).fetchall()

    page = staff.get("/admin/chat/ban/", {"user": stage.alice}).content.decode()
    assert "spam" in page
    assert "fraud" in page
    assert "all rooms" in page
    assert staff.get(f"/admin/chat/ban/{bans[0]['id']}/change/").status_code == 200
    staff.post(f"/admin/chat/ban/{bans[0]['id']}/delete/", {"post": "yes"})
    staff.post(
        "/admin/chat/ban/",
        {"action": "delete_selected", "post": "yes", "_selected_action": [bans[1]["id"]]},
    )

    left = stage.connection.execute(
        "SELECT FROM chat_ban WHERE user_id = %s", [stage.alice]
    ).fetchall()
    assert left == []
    audit = stage.connection.execute(
        "SELECT actor_kind, room_id FROM chat_audit"
        " WHERE user_id = %s AND action = 'user_unbanned' ORDER BY id",
        [stage.alice],
    ).fetchall()
    assert audit == [
        {"actor_kind": "staff", "room_id": room},
        {"actor_kind": "staff", "room_id": None},
    ]
