"""The path prefix under which clients reach the service, for example `/chat`.

It is ASGI's `root_path`: the same for all requests with uvicorn's `--root-path`, or that of one
request in `X-Forwarded-Prefix`, see `app.draining`. By ASGI's specification the server puts it in
front of `path`. Some proxies strip it from the path that they pass on, others do not.
"""

import re
from functools import lru_cache

# No empty segment (`//evil.com` names another host), no `.` or `..`, nothing to be escaped.
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+/?")
_LONGEST = 200
FORWARDED = b"x-forwarded-prefix"

# The first segments of this service's own addresses.
_OWN = re.compile(rb"/(?:(?:api|health|admin|static)(?:/.*)?|favicon\.ico)?", re.DOTALL)


@lru_cache(maxsize=64)
def parse_prefix(text: str) -> str | None:
    """Return a prefix without a slash at its end; "" for none, and None for what is no prefix."""
    if text in {"", "/"}:
        return ""
    if len(text) > _LONGEST or _PREFIX.fullmatch(text) is None:
        return None
    return text.rstrip("/")


def read_forwarded_prefix(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the prefix in `X-Forwarded-Prefix`, or None without exactly one that is a prefix."""
    values = [value for name, value in headers if name == FORWARDED]
    return parse_prefix(values[0].decode("latin-1")) if len(values) == 1 else None


def split_path(root_path: str, raw_path: bytes) -> tuple[str, bytes]:
    """Return the prefix, and the path below it, byte by byte as it came.

    `root_path` and `raw_path` are those of the ASGI scope. A path that still begins with the prefix
    after the server's own was removed came from a proxy that does not strip it. An address of this
    service is never taken for a prefix: for a prefix such as `/api` the proxy has to strip it.
    """
    # A `--root-path` may have been written without the first slash; what is none is no prefix.
    prefix = parse_prefix("/" + root_path.lstrip("/")) or ""
    path = _remove(root_path.encode(), raw_path)
    if prefix and not _OWN.fullmatch(path):
        path = _remove(prefix.encode(), path)
    return prefix, path


def _remove(prefix: bytes, path: bytes) -> bytes:
    """Return the path without the prefix, if whole segments of it are the prefix."""
    if not path.startswith(prefix):
        return path
    rest = path[len(prefix) :]
    return rest or b"/" if rest[:1] in {b"", b"/"} else path
