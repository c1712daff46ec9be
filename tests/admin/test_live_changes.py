"""Realtime is notified of what staff changes."""

from django.test import Client

from tests.admin.staff import Stage


def test_a_change_of_staff_is_notified(staff: Client, stage: Stage) -> None:
    """A deleted message is deleted at once on the screens of the members."""
    room = stage.make_room(stage.alice)
    message = stage.send(room, stage.alice, "a secret")
    stage.connection.execute("LISTEN chat_outbox")

    staff.post(f"/admin/chat/message/{message}/delete/", {"post": "yes"})

    assert list(stage.connection.notifies(timeout=10, stop_after=1))
    (payload,) = stage.list_published(room, after=2)
    assert payload["data"]["type"] == "message_deleted"
