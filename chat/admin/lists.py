"""Lists that open as fast with a million rows as with ten.

No rows are counted. A page starts at a position in an index, never at an OFFSET, so the last page
costs as much as the first. Every term that a list can be narrowed by is served by an index.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from chat.conf import BIGINT_MAX
from chat.realtime.channels import describe_invalid_user_id
from chat.visible import make_visible


def read_number(text: str) -> int | None:
    """Return the id that was written, or None where it can be none."""
    text = text.strip()
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(BIGINT_MAX)):
        return None
    return number if (number := int(text)) <= BIGINT_MAX else None


def read_user(text: str) -> str | None:
    """Return the user id that was written, or None where it can be none."""
    return None if describe_invalid_user_id(text) else text


@dataclass(frozen=True, slots=True)
class Term:
    """A term that a list can be narrowed by: a query parameter and the field it filters."""

    label: str
    field: str
    read: Callable[[str], int | str | None] = read_number


class Find(admin.ListFilter):
    """A small form with one input for each term of the list; the results match all of them."""

    title = "find"
    template = "admin/chat/find.html"

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Model],
        model_admin: Any,
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self.terms: Mapping[str, Term] = model_admin.terms
        for name in self.terms:
            if (text := params.pop(name, [""])[-1]) != "":
                self.used_parameters[name] = text

    def has_output(self) -> bool:
        """Show the form, even on an empty list."""
        return bool(self.terms)

    def expected_parameters(self) -> list[str | None]:
        """Return the words of the address that this filter reads."""
        return [*self.terms]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Give the template an input for each term, and the other parameters to keep."""
        for name, term in self.terms.items():
            yield self._describe(name, term.label)
        if changelist.query:
            yield {"name": "q", "label": None, "text": changelist.query}

    def _describe(self, name: str, label: str) -> dict[str, str]:
        """Return what the template needs; `hidden`: the text, where an input would hide a part."""
        text = str(self.used_parameters.get(name, ""))
        shown = make_visible(text)
        return {
            "name": name,
            "label": label,
            "text": text,
            "hidden": "" if shown == text else shown,
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list; a text that cannot be such a value finds nothing."""
        for name, text in self.used_parameters.items():
            term = self.terms[name]
            value = term.read(str(text))
            queryset = queryset.none() if value is None else queryset.filter(**{term.field: value})
        return queryset


class IndexedChangeList(ChangeList):
    """A list in the order of one unique index, with pages at positions in it."""

    model_admin: Any
    newer: str | None
    older: str | None

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the order of the unique index for the terms in use; columns cannot be sorted."""
        return [self.model_admin.get_list_order(set(self.filter_params))]

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, which shows whether there is a next page."""
        (order,) = self.get_ordering(request, self.queryset)
        field = order.removeprefix("-")
        word, _, text = request.GET.get(PAGE_VAR, "").partition(".")
        is_number = self.lookup_opts.get_field(field).get_internal_type() != "CharField"
        position = (read_number if is_number else read_user)(text)
        is_backwards = word == "before" and position is not None
        rows = self.queryset
        if position is not None and word in {"before", "after"}:
            side = "lt" if order.startswith("-") != is_backwards else "gt"
            rows = rows.filter(**{f"{field}__{side}": position})
        if is_backwards:
            rows = rows.reverse()
        found = list(rows[: self.list_per_page + 1])
        has_more = len(found) > self.list_per_page
        page = found[: self.list_per_page]
        if is_backwards:
            page.reverse()
        self._show(page)
        has_position = position is not None and bool(page)
        has_previous = has_more if is_backwards else has_position
        has_next = True if is_backwards else has_more
        self.newer = self._link("before", page, 0, field) if has_previous else None
        self.older = self._link("after", page, -1, field) if has_next else None

    def _link(self, word: str, page: list[Any], index: int, field: str) -> str | None:
        if not page:
            return None
        return self.get_query_string({PAGE_VAR: f"{word}.{getattr(page[index], field)}"})

    def _show(self, page: list[Any]) -> None:
        """Set the attributes that Django's own templates and actions read."""
        self.result_list = page
        self.result_count = len(page)
        self.full_result_count = len(page)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = False
