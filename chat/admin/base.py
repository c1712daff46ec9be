"""What all pages of the chat share: permissions, refusals, and how lists are read."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote, unquote
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from chat.actions.caller import Caller
from chat.admin.columns import NOTHING
from chat.admin.lists import Find, IndexedChangeList, Term, read_number
from chat.admin.refusals import REFUSALS, explain
from chat.visible import make_visible

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin

# One action is one transaction that holds the locks of all its rooms, so it is kept short.
ACTION_MAX_ROWS = 200


class ChatAdmin(Base):
    """Pages of a table that only the SQL functions change.

    By default rows are read-only. A subclass allows each kind of change.
    """

    terms: ClassVar[Mapping[str, Term]] = {}
    list_filter: ClassVar = [Find]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    empty_value_display = NOTHING
    change_list_template = "admin/chat/list.html"

    @property
    def media(self) -> Media:
        """Add the few styles of our own."""
        return super().media + Media(css={"all": ["chat/admin.css"]})

    def get_list_order(self, words: Collection[str]) -> str:
        """Return the field to sort by with these terms; its index is unique."""
        return "-id"

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[IndexedChangeList]:
        """Return the list that counts nothing."""
        return IndexedChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only terms that an index serves, also in an address typed by hand."""
        return lookup in self.terms

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: a subclass that has a function for it says otherwise."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: a subclass that has a function for it says otherwise."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: a subclass that has a function for it says otherwise."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Refuse to write past the functions."""
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Refuse to write past the functions."""
        raise NotImplementedError

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Refuse to write past the functions."""
        raise NotImplementedError

    def describe(self, row: Any) -> str:
        """Name a row on the page that asks whether to delete it."""
        return str(row)

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the rows themselves. Rows that refer to them stay, so they are not collected."""
        names = [self.describe(row) for row in objs]
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return names, {str(self.opts.verbose_name_plural): len(names)}, lacking, []

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list or carry out an action; a refusal is a message, and nothing was done."""
        try:
            title = {"title": str(self.opts.verbose_name_plural).capitalize()}
            return super().changelist_view(request, title | (extra_context or {}))
        except REFUSALS as error:
            if request.method == "GET" and not request.GET:
                raise
            messages.error(request, explain(error))
        return HttpResponseRedirect(
            request.path if request.method == "GET" else request.get_full_path()
        )

    def response_action(  # type: ignore[override] # the stubs describe a later Django
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Carry out an action in one transaction: its log, its changes and events, or nothing."""
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if request.POST.get("select_across", "0") not in {"", "0"} or len(chosen) > ACTION_MAX_ROWS:
            messages.error(request, f"At most {ACTION_MAX_ROWS} at once. Nothing was changed.")
            return None
        if any(read_number(key) is None for key in chosen):
            messages.error(request, "The selection cannot be read. Nothing was changed.")
            return None
        with transaction.atomic():
            return super().response_action(request, queryset)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save a page; after a refusal the form shows it, with what was typed."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except REFUSALS as error:
            if request.method != "POST":
                raise
            # Everything was rolled back. The same request is read once more, and this time
            # `get_form` makes a form that finds this at fault.
            request.META[REFUSED] = explain(error)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Say that there is no such row, with nothing hidden in the key from the address."""
        shown = quote(make_visible(unquote(object_id)))
        redirect = super()._get_obj_does_not_exist_redirect  # type: ignore[misc] # not in the stubs
        answer: HttpResponse = redirect(request, opts, shown)
        return answer

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, then delete; a refusal is a message on the page that asks."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except REFUSALS as error:
            if request.method != "POST":
                raise
            messages.error(request, explain(error))
        return HttpResponseRedirect(request.get_full_path())


REFUSED = "besedka.refused"
"""The key in `request.META` for the reason of a refusal. No client header can have this name."""


def read_caller(request: HttpRequest) -> Caller:
    """Return who makes a change: a member of staff, who may do everything in a room."""
    return Caller("staff", request.user.get_username(), request.META.get("REMOTE_ADDR"))


def is_permitted(request: HttpRequest, action: str, model: str) -> bool:
    """Whether the person may do this with rows of this model."""
    return bool(request.user.has_perm(f"chat.{action}_{model}"))
