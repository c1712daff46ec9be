"""The first members of a room on the room's page, each with a box to remove it."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.safestring import SafeString

from chat.admin.base import is_permitted
from chat.admin.columns import link_list, show_age
from chat.admin.lists import read_number
from chat.models import Member

MEMBERS_SHOWN = 50
"""A room with 100,000 members opens as fast as one with two; a list of its own has the rest."""

if TYPE_CHECKING:
    Formset = forms.BaseInlineFormSet[Any, Any, Any]
    Inline = admin.TabularInline[Any, Any]
else:
    Formset = forms.BaseInlineFormSet
    Inline = admin.TabularInline


class FirstMembers(Formset):
    """The first members by user id; when saved, those of them that are still members.

    People join and leave between the page and its saving. Django's formsets take the order and
    the number of rows for granted, so rows that no longer exist are removed from the data first.
    """

    def __init__(self, data: QueryDict | None = None, *args: Any, **options: Any) -> None:
        queryset: QuerySet[Any] = options["queryset"].filter(room_id=options["instance"].pk)
        if data is None:
            page = queryset.order_by("user_id")[:MEMBERS_SHOWN]
        else:
            prefix = options["prefix"]
            ticks = {
                key: f"{prefix}-{index}-DELETE" in data
                for index in range(MEMBERS_SHOWN)
                if (key := read_number(data.get(f"{prefix}-{index}-id") or "")) is not None
            }
            page = queryset.filter(pk__in=ticks).order_by("user_id")
            data = _compose_data(prefix, [member.pk for member in page], ticks)
        self._queryset = page
        super().__init__(data, *args, **options)

    def add_fields(self, form: Any, index: Any) -> None:
        """Carry the row's key without one query a row: the rows were read together."""
        super().add_fields(form, index)
        form.fields["id"] = forms.IntegerField(
            required=False, initial=form.instance.pk, widget=forms.HiddenInput
        )


def _compose_data(prefix: str, keys: list[int], ticks: dict[int, bool]) -> QueryDict:
    data = QueryDict(mutable=True)
    data[f"{prefix}-TOTAL_FORMS"] = data[f"{prefix}-INITIAL_FORMS"] = str(len(keys))
    for index, key in enumerate(keys):
        data[f"{prefix}-{index}-id"] = str(key)
        if ticks[key]:
            data[f"{prefix}-{index}-DELETE"] = "on"
    return data


class MembersInline(Inline):
    """Shows the first members; the only change is to remove one."""

    model = Member
    formset = FirstMembers
    fields = readonly_fields = ("user", "joined")
    template = "admin/chat/room/members.html"
    max_num = extra = 0
    ordering: ClassVar = ["user_id"]
    shown = MEMBERS_SHOWN

    def has_add_permission(self, request: HttpRequest, obj: Model | None) -> bool:  # type: ignore[override]
        """Refuse an empty row: users are added with the field above, many at once."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the boxes are read: without it Django shows the rows read-only."""
        return is_permitted(request, "delete", "member")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the person may remove members."""
        return is_permitted(request, "delete", "member")

    @admin.display(description="user")
    def user(self, member: Member) -> SafeString:
        """Show the id, with a link to the user's rooms."""
        return link_list("member", member.user_id, user=member.user_id)

    @admin.display(description="joined")
    def joined(self, member: Member) -> SafeString:
        """Show when the user joined."""
        return show_age(member.joined_at)
