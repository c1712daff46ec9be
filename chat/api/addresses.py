"""The address of this service as the client of a request knows it."""

from functools import lru_cache

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from chat.api.security import ApiRequest


def read_origin(request: ApiRequest) -> str:
    """Return scheme and host that the client used, or "" where the host is not one of ours.

    Links repeat no other host. `ALLOWED_HOSTS` names ours.
    """
    host = request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host}" if _is_ours(host) else ""


def read_prefix(request: ApiRequest) -> str:
    """Return the path under which the client reaches this service, such as `/chat`, or ""."""
    # `app.asgi` has taken it from the path.
    return str(request.scope.get("app_root_path", ""))


# Clients use few hosts, and a check costs as much as reading ten rows.
@lru_cache(maxsize=64)
def _is_ours(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
