"""Bans: who may not be in which room; lifting them."""

from collections.abc import Collection
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from chat.actions.bans import lift_ban
from chat.admin.base import ChatAdmin, is_permitted, read_caller
from chat.admin.columns import link_list, link_page, show_age
from chat.admin.lists import Term, read_user
from chat.models import Ban
from chat.sql.database import run_call_in_django


@admin.register(Ban)
class BanAdmin(ChatAdmin):
    """Bans are made by moderators, by the host's service and by decisions; they are lifted here."""

    terms: ClassVar = {
        "room": Term("Room id", "room_id"),
        "user": Term("User id", "user_id", read_user),
    }
    list_display = ("user_column", "room_column", "until", "reason", "created_by", "created")
    list_display_links = ("created",)
    fields = readonly_fields = (
        *("user_column", "room_column", "until", "reason", "created_by", "created"),
    )

    def get_list_order(self, words: Collection[str]) -> str:
        """Return a room's bans by user id, others the latest first."""
        return "user_id" if "room" in words else "-id"

    def has_delete_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """Whether the person may lift bans."""
        return is_permitted(request, "delete", "ban")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Lift one ban; the user becomes a member of nothing by it."""
        run_call_in_django(lift_ban(obj.room_id, obj.user_id, read_caller(request)))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Lift the bans, room by room in the order in which every writer locks rooms."""
        for ban in sorted(queryset, key=lambda ban: (ban.room_id or 0, ban.user_id)):
            self.delete_model(request, ban)

    @admin.display(description="room")
    def room_column(self, ban: Ban) -> SafeString | str:
        """Show the room's id, with a link to its page; or that it is all of them."""
        return link_page("room", ban.room_id, ban.room_id) if ban.room_id else "all rooms"

    @admin.display(description="user")
    def user_column(self, ban: Ban) -> SafeString:
        """Show the user, with a link to the user's bans."""
        return link_list("ban", ban.user_id, user=ban.user_id)

    @admin.display(description="created")
    def created(self, ban: Ban) -> SafeString:
        """Show when the user was banned."""
        return show_age(ban.created_at)
