"""Messages: read, find, delete for everyone."""

from collections.abc import Collection
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chat.actions.messages import delete_message
from chat.admin.base import ChatAdmin, is_permitted
from chat.admin.columns import (
    NOTHING,
    link_list,
    link_page,
    shorten,
    show_age,
    show_name,
    show_text,
)
from chat.admin.lists import Term, read_user
from chat.conf import SERVER_KEY_PREFIX
from chat.models import Message
from chat.sql.database import run_call_in_django


@admin.register(Message)
class MessageAdmin(ChatAdmin):
    """Deleting a message removes its text for everyone; its place in the room stays."""

    terms: ClassVar = {
        "room": Term("Room id", "room_id"),
        "user": Term("User id", "user_id", read_user),
        "id": Term("Message id", "id"),
    }
    list_display = ("id", "room_column", "seq", "user_column", "text", "sent")
    fields = readonly_fields = (
        *("id", "room_column", "seq", "user_column", "whole_text", "key", "sent", "deleted"),
    )

    def get_list_order(self, words: Collection[str]) -> str:
        """Return the latest first: within a room by seq, else by id, which is the same order."""
        return "-seq" if "room" in words else "-id"

    def has_delete_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """Whether the person may delete messages, and this one has a text to delete."""
        is_there = obj is None or obj.deleted_at is None
        return is_there and is_permitted(request, "delete", "message")

    def describe(self, row: Any) -> str:
        """Name a message by its place, its sender and the beginning of its text."""
        text = "(deleted before)" if row.deleted_at else shorten(row.content)
        user = show_name(row.user_id)
        return format_html("Room {}, {}: <bdi>{}</bdi>", row.room_id, user, text)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete one message and send the members an event."""
        run_call_in_django(delete_message(obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the messages, room by room in the order in which every writer locks rooms."""
        already = 0
        for message in sorted(queryset, key=lambda message: (message.room_id, message.seq)):
            already += not run_call_in_django(delete_message(message.pk))
        if already:
            messages.info(request, f"Deleted before, and left as they are: {already}.")

    @admin.display(description="room")
    def room_column(self, message: Message) -> SafeString:
        """Show the room's id, with a link to its page; its name would need a join."""
        return link_page("room", message.room_id, message.room_id)

    @admin.display(description="user")
    def user_column(self, message: Message) -> SafeString:
        """Show the sender, with a link to the sender's messages."""
        return link_list("message", message.user_id, user=message.user_id)

    @admin.display(description="text")
    def text(self, message: Message) -> str:
        """Show the beginning of the text."""
        return _mark_deleted() if message.deleted_at else shorten(message.content)

    @admin.display(description="text")
    def whole_text(self, message: Message) -> str:
        """Show the whole text, line by line."""
        if message.deleted_at:
            return _mark_deleted()
        return show_text(message.content)

    @admin.display(description="client_id")
    def key(self, message: Message) -> str:
        """Show the sender's key; a key that the service made is not shown."""
        is_own = message.client_id.startswith(SERVER_KEY_PREFIX)
        return NOTHING if is_own else show_name(message.client_id)

    @admin.display(description="sent")
    def sent(self, message: Message) -> SafeString:
        """Show when the message was sent."""
        return show_age(message.created_at)

    @admin.display(description="deleted")
    def deleted(self, message: Message) -> str:
        """Show when the message was deleted."""
        return show_age(message.deleted_at) if message.deleted_at else NOTHING


def _mark_deleted() -> SafeString:
    return format_html('<em class="deleted-message">{}</em>', "deleted")
