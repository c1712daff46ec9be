"""The audit, to be read only: nobody changes or deletes entries, superusers neither."""

import json
from collections.abc import Collection
from typing import Any, ClassVar

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chat.admin.base import ChatAdmin
from chat.admin.columns import NOTHING, link_list, link_page, show_age, show_name
from chat.admin.lists import Term, read_user
from chat.models import AuditEntry
from chat.visible import make_visible


def _read_text(text: str) -> str | None:
    return text or None


@admin.register(AuditEntry)
class AuditAdmin(ChatAdmin):
    """Who changed what, the latest first."""

    terms: ClassVar = {
        "actor": Term("Actor", "actor", _read_text),
        "user": Term("User id", "user_id", read_user),
        "room": Term("Room id", "room_id"),
        "action": Term("Action", "action", _read_text),
    }
    list_display = ("id", "age", "action", "actor_column", "actor_kind", "room_column", "user")
    fields = readonly_fields = (*list_display, "address", "whole_details")

    def get_list_order(self, words: Collection[str]) -> str:
        """Return the latest first."""
        return "-id"

    @admin.display(description="when")
    def age(self, entry: AuditEntry) -> SafeString:
        """Show when it was done."""
        return show_age(entry.created_at)

    @admin.display(description="actor")
    def actor_column(self, entry: AuditEntry) -> SafeString:
        """Show who did it, with a link to what else the same one did."""
        return link_list("auditentry", entry.actor, actor=entry.actor)

    @admin.display(description="room")
    def room_column(self, entry: AuditEntry) -> str:
        """Show the room's id, with a link to its page."""
        return link_page("room", entry.room_id, entry.room_id) if entry.room_id else NOTHING

    @admin.display(description="user")
    def user(self, entry: AuditEntry) -> str:
        """Show whom it is about."""
        return show_name(entry.user_id) if entry.user_id else NOTHING

    @admin.display(description="details")
    def whole_details(self, entry: AuditEntry) -> str:
        """Show what was changed."""
        details: Any = entry.details
        if details is None:
            return NOTHING
        text = json.dumps(details, indent=2, ensure_ascii=False)
        return format_html('<pre class="payload">{}</pre>', make_visible(text, keep=" \n"))
