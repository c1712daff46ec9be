"""Which pages may connect: `ALLOWED_ORIGINS` means here what it means to Centrifugo.

The words are separated by spaces or commas. Each is an origin as browsers write it, such as
`https://app.example.com`; `*` in it stands for any characters, also none. Without a word, pages of
this machine may connect.

Centrifugo compares a page's origin, in lower case, with the patterns of `client.allowed_origins`.
It reads more characters than `*` as patterns; words with one of these are refused here, so that no
word has two meanings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LOOPBACK_ORIGINS = tuple(
    f"{scheme}://{host}{port}"
    for scheme in ("http", "https")
    for host in ("localhost", "127.0.0.1")
    for port in ("", ":*")
)
_SEPARATORS = re.compile(r"[\s,]+")
_WORD = re.compile(r"\*[a-z0-9.:_*-]*|[a-z*][a-z0-9+.*-]*://[a-z0-9._*-]+(?::[0-9*]+)?")


def parse_origins(text: str) -> tuple[str, ...]:
    """Return the patterns in `ALLOWED_ORIGINS` in lower case, or those of this machine.

    Raises ValueError for a word that no page's origin can equal.
    """
    words = tuple(word.lower() for word in _SEPARATORS.split(text) if word)
    for word in words:
        if _WORD.fullmatch(word) is None:
            raise ValueError(
                f"ALLOWED_ORIGINS contains {word!r}, which is no origin: write the scheme, the "
                "host and the port, with nothing after them, like https://app.example.com; "
                "`*` stands for any characters."
            )
    return words or LOOPBACK_ORIGINS


class AllowedOrigins:
    """The origins whose pages may connect."""

    def __init__(self, patterns: Sequence[str] = LOOPBACK_ORIGINS) -> None:
        self._patterns = [
            re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
            for pattern in patterns
        ]

    def permits(self, origin: str | None) -> bool:
        """Whether a client with this `Origin` may connect; one that is no browser sends none."""
        if not origin:
            return True
        return any(pattern.fullmatch(origin.lower()) for pattern in self._patterns)
