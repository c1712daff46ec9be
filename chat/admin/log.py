"""The event log and the outbox, to be read only."""

import json
from collections.abc import Collection
from typing import Any, ClassVar

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chat.admin.base import ChatAdmin
from chat.admin.columns import NOTHING, link_list, link_page, show_age
from chat.admin.lists import Term
from chat.models import Event, OutboxRow
from chat.visible import make_visible


@admin.register(Event)
class EventAdmin(ChatAdmin):
    """The durable log of each room."""

    terms: ClassVar = {"room": Term("Room id", "room_id"), "id": Term("Event id", "id")}
    list_display = ("id", "room_column", "version", "type", "user_column", "message_column", "age")
    fields = readonly_fields = (*list_display, "member_count")

    def get_list_order(self, words: Collection[str]) -> str:
        """Return the latest first: within a room by version, else by id."""
        return "-version" if "room" in words else "-id"

    @admin.display(description="room")
    def room_column(self, event: Event) -> SafeString:
        """Show the room's id, with a link to its page; its name would need a join."""
        return link_page("room", event.room_id, event.room_id)

    @admin.display(description="user")
    def user_column(self, event: Event) -> str:
        """Show the event's user, with a link to the user's rooms."""
        return link_list("member", event.user_id, user=event.user_id) if event.user_id else NOTHING

    @admin.display(description="message")
    def message_column(self, event: Event) -> str:
        """Show the message's id, with a link to its page."""
        key = event.message_id
        return link_page("message", key, key) if key else NOTHING

    @admin.display(description="age")
    def age(self, event: Event) -> SafeString:
        """Show when it happened."""
        return show_age(event.created_at)


@admin.register(OutboxRow)
class OutboxAdmin(ChatAdmin):
    """What Centrifugo has not drained yet, the oldest first: usually nothing."""

    terms: ClassVar = {
        "partition": Term("Partition", "partition"),
        "id": Term("Outbox id", "id"),
    }
    list_display = ("id", "partition", "age", "event", "room", "channels")
    fields = readonly_fields = (*list_display, "method", "whole_payload")

    def get_list_order(self, words: Collection[str]) -> str:
        """Return the oldest first: its age shows whether delivery keeps up."""
        return "id"

    @admin.display(description="age")
    def age(self, row: OutboxRow) -> SafeString:
        """Show how long the row has been waiting."""
        return show_age(row.created_at)

    @admin.display(description="event")
    def event(self, row: OutboxRow) -> str:
        """Show the type of the event, or the command of a row that publishes none."""
        other = NOTHING if row.method == "broadcast" else row.method
        return make_visible(str(_read_event(row).get("type", other)))

    @admin.display(description="room")
    def room(self, row: OutboxRow) -> str:
        """Show the room's id, with a link to its page."""
        room = _read_object(_read_object(_read_event(row), "body"), "room")
        key = room.get("id")
        return link_page("room", key, key) if isinstance(key, int) else NOTHING

    @admin.display(description="channels")
    def channels(self, row: OutboxRow) -> int:
        """Show the number of channels the event is sent to."""
        channels = row.payload.get("channels") if isinstance(row.payload, dict) else None
        return len(channels) if isinstance(channels, list) else 0

    @admin.display(description="payload")
    def whole_payload(self, row: OutboxRow) -> SafeString:
        """Show the command as Centrifugo will read it."""
        text = json.dumps(row.payload, indent=2, ensure_ascii=False)
        return format_html('<pre class="payload">{}</pre>', make_visible(text, keep=" \n"))


def _read_event(row: OutboxRow) -> dict[str, Any]:
    return _read_object(row.payload, "data")


def _read_object(value: object, name: str) -> dict[str, Any]:
    """Return a member of a JSON object; empty for anything else, as in a row by someone else."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
