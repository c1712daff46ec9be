"""Django under a path prefix: what it takes from its settings, and not from the request.

Django itself reads the prefix of each request (`root_path`) for its routes, links and redirects.
"""

from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix
from django.utils.deprecation import MiddlewareMixin


class PrefixedStaticFilesStorage(StaticFilesStorage):
    """Static files at their address under the prefix of the request."""

    @property
    def base_url(self) -> str:
        """Return the address of all static files."""
        return get_script_prefix() + str(settings.STATIC_URL).removeprefix("/")


class CookiePathMiddleware(MiddlewareMixin):
    """Cookies are sent back to this service only, not to others of the same host name."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Give each cookie of the whole host the path of this service."""
        for cookie in response.cookies.values():
            if cookie["path"] == "/":
                cookie["path"] = f"{request.META['SCRIPT_NAME']}/"
        return response
