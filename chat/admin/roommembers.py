"""The first members of a room on the room's page: roles, mutes, and a box to remove each."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import now

from chat.admin.base import is_permitted
from chat.admin.columns import NOTHING, link_list, show_age, show_mute
from chat.admin.lists import read_number
from chat.models import Member

MEMBERS_SHOWN = 50
"""A room with 100,000 members opens as fast as one with two; a list of its own has the rest."""

CHANGED = ("role", "muted_until")
ROLES = [(role, role) for role in ("member", "moderator", "owner")]

if TYPE_CHECKING:
    Form = forms.ModelForm[Member]
    Formset = forms.BaseInlineFormSet[Any, Any, Any]
    Inline = admin.TabularInline[Any, Any]
else:
    Form = forms.ModelForm
    Formset = forms.BaseInlineFormSet
    Inline = admin.TabularInline


class RoleSelect(forms.Select):
    """A choice of roles, without a template for each option of each of 50 rows."""

    def render(self, name: str, value: Any, *_: Any, **__: Any) -> SafeString:
        """Return the element."""
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            ((role, " selected" if role == value else "", text) for role, text in ROLES),
        )
        return format_html('<select name="{}" aria-label="Role">{}</select>', name, options)


class MemberForm(Form):
    """A member's role and mute. What was shown is sent along, to see what the person changed.

    Without that a page that stayed open would take back what others changed in the meantime.
    """

    role = forms.ChoiceField(
        choices=ROLES, required=False, show_hidden_initial=True, widget=RoleSelect
    )
    muted_until = forms.DateTimeField(
        required=False,
        show_hidden_initial=True,
        widget=forms.DateTimeInput(
            format="%Y-%m-%d %H:%M:%S",
            attrs={"placeholder": "2026-12-31 18:00", "size": 20, "aria-label": "Muted until"},
        ),
    )

    class Meta:
        model = Member
        fields: ClassVar = ["role", "muted_until"]

    def __init__(self, *args: Any, **options: Any) -> None:
        member: Member | None = options.get("instance")
        super().__init__(*args, **options)
        if member is not None and member.muted_until is not None and member.muted_until <= now():
            self.initial["muted_until"] = None  # a mute that has ended is none

    def clean_role(self) -> str:
        """Return the role; one that was not sent is the present one."""
        return self.cleaned_data["role"] or self.instance.role

    def validate_unique(self) -> None:
        """Leave it to the function that makes the change."""

    def validate_constraints(self) -> None:
        """Leave it to the function that makes the change."""


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
            places = {
                key: index
                for index in range(MEMBERS_SHOWN)
                if (key := read_number(data.get(f"{prefix}-{index}-id") or "")) is not None
            }
            page = queryset.filter(pk__in=places).order_by("user_id")
            data = _compose_data(prefix, [(member.pk, places[member.pk]) for member in page], data)
        self._queryset = page
        super().__init__(data, *args, **options)

    def add_fields(self, form: Any, index: Any) -> None:
        """Carry the row's key without one query a row: the rows were read together."""
        super().add_fields(form, index)
        form.fields["id"] = forms.IntegerField(
            required=False, initial=form.instance.pk, widget=forms.HiddenInput
        )


def _compose_data(prefix: str, rows: list[tuple[int, int]], sent: QueryDict) -> QueryDict:
    """Return what was sent for these rows, each given by its key and its place on the page."""
    data = QueryDict(mutable=True)
    data[f"{prefix}-TOTAL_FORMS"] = data[f"{prefix}-INITIAL_FORMS"] = str(len(rows))
    for index, (key, place) in enumerate(rows):
        data[f"{prefix}-{index}-id"] = str(key)
        if f"{prefix}-{place}-DELETE" in sent:
            data[f"{prefix}-{index}-DELETE"] = "on"
        for start in (prefix, f"initial-{prefix}"):
            for name in CHANGED:
                if (value := sent.get(f"{start}-{place}-{name}")) is not None:
                    data[f"{start}-{index}-{name}"] = value
    return data


class MembersInline(Inline):
    """Shows the first members; who has the permissions changes roles and mutes, and removes."""

    model = Member
    formset = FirstMembers
    template = "admin/chat/room/members.html"
    max_num = extra = 0
    ordering: ClassVar = ["user_id"]
    shown = MEMBERS_SHOWN

    def has_add_permission(self, request: HttpRequest, obj: Model | None) -> bool:  # type: ignore[override]
        """Refuse an empty row: users are added with the field above, many at once."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the rows are read: without it Django shows them read-only."""
        return self.may_change(request) or is_permitted(request, "delete", "member")

    def may_change(self, request: HttpRequest) -> bool:
        """Whether the person may change roles and mutes."""
        return is_permitted(request, "change", "member")

    def get_fields(self, request: HttpRequest, obj: Any | None = None) -> Any:
        """Return the columns."""
        columns = CHANGED if self.may_change(request) else ("shown_role", "shown_mute")
        return ("user", "joined", *columns)

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> Any:
        """Return the columns that are only shown."""
        return ("user", "joined", "shown_role", "shown_mute")

    def get_formset(self, request: HttpRequest, obj: Any | None = None, **options: Any) -> Any:
        """Return the rows, with the form only for a person who may change something in it."""
        if self.may_change(request):
            options["form"] = MemberForm
        return super().get_formset(request, obj, **options)

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

    @admin.display(description="role")
    def shown_role(self, member: Member) -> str:
        """Show the role to a person who may not change it."""
        return member.role

    @admin.display(description="muted until")
    def shown_mute(self, member: Member) -> SafeString | str:
        """Show until when the user may not send."""
        return show_mute(member.muted_until) or NOTHING
