"""Members: who is in which room; removing them."""

from collections.abc import Collection
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from chat.actions.members import remove_member
from chat.admin.base import ChatAdmin, is_permitted, read_caller
from chat.admin.columns import link_list, link_page, show_age
from chat.admin.lists import Term, read_user
from chat.models import Member
from chat.sql.database import run_call_in_django


@admin.register(Member)
class MemberAdmin(ChatAdmin):
    """Members are added on the page of their room, and removed there or here."""

    terms: ClassVar = {
        "room": Term("Room id", "room_id"),
        "user": Term("User id", "user_id", read_user),
    }
    list_display = ("user_column", "room_column", "joined")
    list_display_links = ("joined",)
    fields = readonly_fields = ("user_column", "room_column", "channel", "joined", "joined_version")

    def get_list_order(self, words: Collection[str]) -> str:
        """Return a room's members by user id, a user's rooms the latest first."""
        if "room" in words:
            return "user_id"
        return "-room_id" if "user" in words else "-id"

    def has_delete_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """Whether the person may remove members."""
        return is_permitted(request, "delete", "member")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Remove one member; all members and the removed user receive an event."""
        run_call_in_django(remove_member(obj.room_id, obj.user_id, read_caller(request)))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Remove the members, room by room in the order in which every writer locks rooms."""
        for member in sorted(queryset, key=lambda member: (member.room_id, member.user_id)):
            self.delete_model(request, member)

    @admin.display(description="room")
    def room_column(self, member: Member) -> SafeString:
        """Show the room's id, with a link to its page; its name would need a join."""
        return link_page("room", member.room_id, member.room_id)

    @admin.display(description="user")
    def user_column(self, member: Member) -> SafeString:
        """Show the user, with a link to the user's rooms."""
        return link_list("member", member.user_id, user=member.user_id)

    @admin.display(description="joined")
    def joined(self, member: Member) -> SafeString:
        """Show when the user joined."""
        return show_age(member.joined_at)
