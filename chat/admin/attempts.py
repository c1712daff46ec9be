"""Attempts to log in: anyone may try, with any name and from any program."""

from typing import TYPE_CHECKING, Any

from axes.admin import AccessAttemptAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from chat.admin.columns import show_text

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin


def _show(name: str, description: str) -> Any:
    @admin.display(description=description, ordering=name)
    def show(row: Any) -> SafeString:
        return show_text(getattr(row, name) or "")

    return show


# What the person or the program that tries sends, as columns that hide nothing.
_SHOWN = {
    "username": _show("username", "username"),
    "user_agent": _show("user_agent", "user agent"),
    "path_info": _show("path_info", "path"),
    "http_accept": _show("http_accept", "HTTP Accept"),
    "get_data": _show("get_data", "GET data"),
    "post_data": _show("post_data", "form data"),
}


def _replace(names: Any) -> list[Any]:
    return [_SHOWN.get(name, name) for name in names]


class _Shown(Base):
    """Axes' own pages, with columns in place of those that show a stranger's text as it is."""

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns of the list."""
        return _replace(super().get_list_display(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> Any:
        """Return the fields of the page, all of which are read-only."""
        return _replace(super().get_readonly_fields(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: Any | None = None) -> Any:
        """Return how they are grouped."""
        found = super().get_fieldsets(request, obj)
        return [(title, {"fields": _replace(options["fields"])}) for title, options in found]


class AttemptAdmin(_Shown, AccessAttemptAdmin):
    """Attempts that failed."""


class LogInAdmin(_Shown, AccessLogAdmin):
    """Who logged in and out."""


# Only the attempts are kept, so the list of failures would always be empty.
for model in (AccessAttempt, AccessLog, AccessFailureLog):
    admin.site.unregister(model)
admin.site.register(AccessAttempt, AttemptAdmin)
admin.site.register(AccessLog, LogInAdmin)
