"""What Django answers: the admin, where this process serves it."""

from django.conf import settings
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, path
from django.utils.functional import lazy
from django.views.generic import RedirectView


def list_patterns() -> list[URLPattern | URLResolver]:
    """Return the addresses; importing the admin where it is not served would load it."""
    if settings.SERVE == "api":
        return []
    from django.contrib import admin  # noqa: PLC0415

    return [
        path("admin/", admin.site.urls),
        # Lazy: its address has the prefix of each request.
        path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("chat/icon.svg"))),
        path("", RedirectView.as_view(pattern_name="admin:index")),
    ]


urlpatterns = list_patterns()
