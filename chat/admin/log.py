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
        """Show the type of the event."""
        return str(_read_event(row).get("type", NOTHING))

    @admin.display(description="room")
    def room(self, row: OutboxRow) -> str:
        """Show the room's id, with a link to its page."""
        key = _read_event(row).get("body", {}).get("room", {}).get("id")
        return link_page("room", key, key) if key else NOTHING

    @admin.display(description="channels")
    def channels(self, row: OutboxRow) -> int:
        """Show the number of channels the event is sent to."""
        return len(row.payload.get("channels", []))

    @admin.display(description="payload")
    def whole_payload(self, row: OutboxRow) -> SafeString:
        """Show the command as Centrifugo will read it."""
        text = json.dumps(row.payload, indent=2, ensure_ascii=False)
        return format_html('<pre class="payload">{}</pre>', text)


def _read_event(row: OutboxRow) -> dict[str, Any]:
    event: dict[str, Any] = row.payload.get("data", {})
    return event
