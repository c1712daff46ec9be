"""Rooms: create, rename, add and remove members."""

import re
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, QueryDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from chat.actions.members import add_members, remove_member
from chat.actions.rooms import create_room, rename_room
from chat.admin.base import REFUSED, ChatAdmin, is_permitted, read_caller
from chat.admin.columns import link_list, shorten, shorten_name, show_age, show_name
from chat.admin.lists import read_number
from chat.admin.roommembers import MembersInline
from chat.conf import MEMBERS_PER_CALL, ROOM_NAME_MAX_LENGTH
from chat.models import Room
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import run_call_in_django
from chat.visible import make_visible

if TYPE_CHECKING:
    Form = forms.ModelForm[Room]
else:
    Form = forms.ModelForm


class RoomForm(Form):
    """A room's name, kept exactly as the API keeps it."""

    refusal: ClassVar[str | None] = None
    name = forms.CharField(
        max_length=ROOM_NAME_MAX_LENGTH,
        strip=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    class Meta:
        model = Room
        fields: ClassVar = ["name"]

    def __init__(self, data: QueryDict | None = None, *args: Any, **options: Any) -> None:
        room: Room | None = options.get("instance")
        if room is not None and room.pk:
            if data is not None and data.get("name") == _send_from_input(room.name):
                # The input held all of the name that an input can hold, and nobody touched it.
                data = data.copy()
                data["name"] = room.name
            super().__init__(data, *args, **options)
            if "name" in self.fields and (shown := make_visible(room.name)) != room.name:
                self.fields["name"].help_text = format_html(
                    "With what cannot be seen: <bdi>{}</bdi>. An input has no line breaks: a name "
                    "that you do not touch keeps its own.",
                    shown,
                )
            return
        super().__init__(data, *args, **options)

    def clean(self) -> dict[str, Any] | None:
        """Show why the change was refused, where it was."""
        if self.refusal:
            raise ValidationError(self.refusal)
        return super().clean()


def _send_from_input(text: str) -> str:
    """Return what a browser sends from a text input that was filled with this and not touched."""
    return text.replace("\r", "").replace("\n", "")


class RoomFormWithMembers(RoomForm):
    """The same, with users to add."""

    add_users = forms.CharField(
        label="Add users",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField"}),
        help_text=f"One user id a line, at most {MEMBERS_PER_CALL:,}. Members stay members.",
    )

    def clean_add_users(self) -> list[str]:
        """Return the ids, each exactly as written."""
        lines = re.split(r"\r?\n", self.cleaned_data["add_users"])
        user_ids = [line for line in lines if line]
        if len(user_ids) > MEMBERS_PER_CALL:
            raise ValidationError(f"At most {MEMBERS_PER_CALL:,} users at once.")
        for user_id in user_ids:
            if reason := describe_invalid_user_id(user_id):
                raise ValidationError(f"“{shorten(user_id)}”: {reason}")
            if user_id != user_id.strip():
                # Ids are never normalised, so this would be another user than the one meant.
                raise ValidationError(f"“{make_visible(user_id)}” begins or ends with a space.")
        return user_ids


@admin.register(Room)
class RoomAdmin(ChatAdmin):
    """A room can be created and renamed; it is never deleted, because its history refers to it."""

    list_display = ("name_column", "id", "member_count", "last_seq", "version", "bumped")
    list_display_links = ("name_column",)
    search_fields = ("name",)
    search_help_text = "A part of the name, or the exact id."
    readonly_fields = (
        *("whole_name", "id", "member_count", "last_seq", "version", "bumped", "created", "lists"),
    )
    inlines = (MembersInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether the person may create rooms."""
        return is_permitted(request, "add", "room")

    def has_change_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """Whether the person may rename rooms. Changes of members have permissions of their own."""
        return is_permitted(request, "change", "room")

    def get_fieldsets(self, request: HttpRequest, obj: Any | None = None) -> Any:
        """Offer what the person may do with this room."""
        may_save = self.has_change_permission(request) if obj else True
        may_add = may_save and is_permitted(request, "add", "member")
        entries = ["name"] if may_save else ["whole_name"]
        entries += ["add_users"] if may_add else []
        if obj is None:
            return [(None, {"fields": entries})]
        facts = ["id", ("member_count", "last_seq", "version"), ("bumped", "created"), "lists"]
        return [(None, {"fields": entries}), ("Facts", {"fields": facts})]

    def get_form(
        self,
        request: HttpRequest,
        obj: Any | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **options: Any,
    ) -> Any:
        """Return a form with only the fields that the person may use."""
        may_add = is_permitted(request, "add", "member")
        options["form"] = RoomFormWithMembers if may_add else RoomForm
        # Django asks for the names in the fieldsets; those of no column are the form's own.
        options["fields"] = ["name"]
        form: Any = super().get_form(request, obj, change, **options)
        form.refusal = request.META.get(REFUSED)
        return form

    def get_inlines(self, request: HttpRequest, obj: Any | None) -> Any:
        """Show the members of a room that exists."""
        return super().get_inlines(request, obj) if obj else ()

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Find rooms by any part of the name, by the same index as the API, or by the id."""
        if not search_term:
            return queryset, False
        containing = "chat.search_text(name) COLLATE pg_unicode_fast LIKE chat.search_pattern(%s)"
        ids = queryset.filter(pk=read_number(search_term) or 0)
        return queryset.filter(RawSQL(containing, [search_term], BooleanField())) | ids, False  # noqa: S611 - the text is a parameter

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Create the room with its first members, or rename it; the members receive events."""
        user_ids = form.cleaned_data.get("add_users", [])
        if unseen := [shown for name in user_ids if (shown := make_visible(name)) != name]:
            messages.warning(request, f"With characters that cannot be seen: {', '.join(unseen)}")
        if not change:
            call = create_room(obj.name, user_ids, by=read_caller(request))
            obj.pk = run_call_in_django(call).room.id
        elif "name" in form.changed_data:
            run_call_in_django(rename_room(obj.pk, obj.name))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Remove the ticked members, then add the named users, in the transaction of the page."""
        super().save_related(request, form, formsets, change)
        user_ids = form.cleaned_data.get("add_users", [])
        if change and user_ids:
            call = add_members(form.instance.pk, user_ids, read_caller(request))
            addition = run_call_in_django(call)
            already = f" {len(addition.already)} had been before." if addition.already else ""
            messages.info(request, f"New members: {len(addition.added)}.{already}")

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: Any) -> None:
        """Remove the ticked members; a member who has left in the meantime is no error."""
        by = read_caller(request)
        formset.save(commit=False)
        for member in formset.deleted_objects:
            run_call_in_django(remove_member(member.room_id, member.user_id, by))

    @admin.display(description="name")
    def name_column(self, room: Room) -> SafeString:
        """Show the beginning of the name on one line."""
        return shorten_name(room.name)

    @admin.display(description="name")
    def whole_name(self, room: Room) -> SafeString:
        """Show the whole name to a person who may not change it."""
        return show_name(room.name)

    @admin.display(description="last activity")
    def bumped(self, room: Room) -> SafeString:
        """Show when the last message was sent, or the room created."""
        return show_age(room.bumped_at)

    @admin.display(description="created")
    def created(self, room: Room) -> SafeString:
        """Show when the room was created."""
        return show_age(room.created_at)

    @admin.display(description="lists")
    def lists(self, room: Room) -> SafeString:
        """Link to the room's messages, members and events."""
        models = (("message", "Messages"), ("member", "Members"), ("event", "Events"))
        return format_html_join(
            " · ", "{}", ((link_list(model, text, room=room.pk),) for model, text in models)
        )
